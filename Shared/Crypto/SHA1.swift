/// SHA-1 (FIPS 180-4 §6.1, RFC 3174), fed in any split.
///
/// Only for the WebSocket handshake, where RFC 6455 asks for it; it protects nothing.
package struct SHA1: Sendable {
    /// The length of a digest, in bytes.
    package static let digestLength = 20

    private var state = State()
    private var blocks = BlockBuffer()

    package init() {}

    /// The digest of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var hash = SHA1()
        hash.update(bytes)
        return hash.finalize()
    }

    /// Takes the next bytes of the message.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var state = self.state
        blocks.update(bytes) { Self.compress(&state, $0, blocks: $1) }
        self.state = state
    }

    /// Takes the next bytes of the message.
    package mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of everything taken so far; the value is not to be used afterwards.
    package mutating func finalize() -> [UInt8] {
        var state = self.state
        blocks.finish { Self.compress(&state, $0, blocks: $1) }
        self.state = state
        return BlockBuffer.bigEndian([state.a, state.b, state.c, state.d, state.e])
    }

    // MARK: - Compression

    private struct State: Sendable {
        var a: UInt32 = 0x6745_2301
        var b: UInt32 = 0xefcd_ab89
        var c: UInt32 = 0x98ba_dcfe
        var d: UInt32 = 0x1032_5476
        var e: UInt32 = 0xc3d2_e1f0

        @inline(__always)
        mutating func round(_ f: UInt32, _ k: UInt32, _ w: UInt32) {
            let next = (a &<< 5 | a &>> 27) &+ f &+ e &+ k &+ w
            e = d
            d = c
            c = b &<< 30 | b &>> 2
            b = a
            a = next
        }
    }

    private static func compress(_ state: inout State, _ source: UnsafeRawPointer, blocks: Int) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { w in
            for index in 0..<blocks {
                let block = source + index &* BlockBuffer.blockLength
                for t in 0..<16 {
                    w[t] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: t &* 4, as: UInt32.self))
                }
                for t in 16..<80 {
                    let mixed = w[t &- 3] ^ w[t &- 8] ^ w[t &- 14] ^ w[t &- 16]
                    w[t] = mixed &<< 1 | mixed &>> 31
                }
                var s = state
                for t in 0..<20 { s.round(s.d ^ (s.b & (s.c ^ s.d)), 0x5a82_7999, w[t]) }
                for t in 20..<40 { s.round(s.b ^ s.c ^ s.d, 0x6ed9_eba1, w[t]) }
                for t in 40..<60 { s.round((s.b & s.c) | (s.d & (s.b | s.c)), 0x8f1b_bcdc, w[t]) }
                for t in 60..<80 { s.round(s.b ^ s.c ^ s.d, 0xca62_c1d6, w[t]) }
                state.a &+= s.a
                state.b &+= s.b
                state.c &+= s.c
                state.d &+= s.d
                state.e &+= s.e
            }
        }
    }
}

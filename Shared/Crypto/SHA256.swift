/// SHA-256 (FIPS 180-4 §6.2), fed in any split.
///
/// Written here because the platform offers none without a package.
package struct SHA256: Sendable {
    /// The length of a digest, in bytes.
    package static let digestLength = 32

    private var state = State()
    private var blocks = BlockBuffer()

    package init() {}

    /// The digest of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finalize()
    }

    /// The digest of the UTF-8 of `text`.
    package static func hash(_ text: String) -> [UInt8] {
        hash(Array(text.utf8))
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
        return state.bytes
    }

    // MARK: - Compression

    /// To the right.
    ///
    /// Sums of rotations nest, x⋙6 ⊕ x⋙11 ⊕ x⋙25 as ((x⋙14 ⊕ x)⋙5 ⊕ x)⋙6, which copies the word less often.
    @inline(__always)
    private static func rotated(_ word: UInt32, _ bits: UInt32) -> UInt32 {
        word &>> bits | word &<< (32 &- bits)
    }

    private struct State: Sendable {
        var a: UInt32 = 0x6a09_e667
        var b: UInt32 = 0xbb67_ae85
        var c: UInt32 = 0x3c6e_f372
        var d: UInt32 = 0xa54f_f53a
        var e: UInt32 = 0x510e_527f
        var f: UInt32 = 0x9b05_688c
        var g: UInt32 = 0x1f83_d9ab
        var h: UInt32 = 0x5be0_cd19

        var bytes: [UInt8] {
            BlockBuffer.bigEndian([a, b, c, d, e, f, g, h])
        }

        /// Adds the state before the block to the one after its rounds.
        @inline(__always)
        mutating func add(_ other: State) {
            a &+= other.a
            b &+= other.b
            c &+= other.c
            d &+= other.d
            e &+= other.e
            f &+= other.f
            g &+= other.g
            h &+= other.h
        }

        /// Sixteen rounds.
        ///
        /// The eight variables change their parts from round to round instead of their values,
        /// which is what makes it fast. The majority is ((a ⊕ b) ∧ (b ⊕ c)) ⊕ b, since a ⊕ b is the next round's b ⊕ c.
        @inline(__always)
        mutating func sixteenRounds(_ w: borrowing MessageSchedule, _ k: UnsafePointer<UInt32>) {
            Self.round(a, b, c, &d, e, f, g, &h, k[0] &+ w.w0)
            Self.round(h, a, b, &c, d, e, f, &g, k[1] &+ w.w1)
            Self.round(g, h, a, &b, c, d, e, &f, k[2] &+ w.w2)
            Self.round(f, g, h, &a, b, c, d, &e, k[3] &+ w.w3)
            Self.round(e, f, g, &h, a, b, c, &d, k[4] &+ w.w4)
            Self.round(d, e, f, &g, h, a, b, &c, k[5] &+ w.w5)
            Self.round(c, d, e, &f, g, h, a, &b, k[6] &+ w.w6)
            Self.round(b, c, d, &e, f, g, h, &a, k[7] &+ w.w7)
            Self.round(a, b, c, &d, e, f, g, &h, k[8] &+ w.w8)
            Self.round(h, a, b, &c, d, e, f, &g, k[9] &+ w.w9)
            Self.round(g, h, a, &b, c, d, e, &f, k[10] &+ w.w10)
            Self.round(f, g, h, &a, b, c, d, &e, k[11] &+ w.w11)
            Self.round(e, f, g, &h, a, b, c, &d, k[12] &+ w.w12)
            Self.round(d, e, f, &g, h, a, b, &c, k[13] &+ w.w13)
            Self.round(c, d, e, &f, g, h, a, &b, k[14] &+ w.w14)
            Self.round(b, c, d, &e, f, g, h, &a, k[15] &+ w.w15)
        }

        @inline(__always)
        private static func round(
            _ a: UInt32,
            _ b: UInt32,
            _ c: UInt32,
            _ d: inout UInt32,
            _ e: UInt32,
            _ f: UInt32,
            _ g: UInt32,
            _ h: inout UInt32,
            _ input: UInt32
        ) {
            let sum1 = rotated(rotated(rotated(e, 14) ^ e, 5) ^ e, 6)
            let sum0 = rotated(rotated(rotated(a, 9) ^ a, 11) ^ a, 2)
            let first = h &+ sum1 &+ (g ^ (e & (f ^ g))) &+ input
            d &+= first
            h = first &+ sum0 &+ (((a ^ b) & (b ^ c)) ^ b)
        }
    }

    /// The last sixteen words of the message schedule.
    private struct MessageSchedule {
        var w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15: UInt32

        @inline(__always)
        init(_ block: UnsafeRawPointer) {
            w0 = Self.word(block, 0)
            w1 = Self.word(block, 1)
            w2 = Self.word(block, 2)
            w3 = Self.word(block, 3)
            w4 = Self.word(block, 4)
            w5 = Self.word(block, 5)
            w6 = Self.word(block, 6)
            w7 = Self.word(block, 7)
            w8 = Self.word(block, 8)
            w9 = Self.word(block, 9)
            w10 = Self.word(block, 10)
            w11 = Self.word(block, 11)
            w12 = Self.word(block, 12)
            w13 = Self.word(block, 13)
            w14 = Self.word(block, 14)
            w15 = Self.word(block, 15)
        }

        /// The next sixteen words, in place of the last.
        @inline(__always)
        mutating func advance() {
            Self.next(&w0, w1, w9, w14)
            Self.next(&w1, w2, w10, w15)
            Self.next(&w2, w3, w11, w0)
            Self.next(&w3, w4, w12, w1)
            Self.next(&w4, w5, w13, w2)
            Self.next(&w5, w6, w14, w3)
            Self.next(&w6, w7, w15, w4)
            Self.next(&w7, w8, w0, w5)
            Self.next(&w8, w9, w1, w6)
            Self.next(&w9, w10, w2, w7)
            Self.next(&w10, w11, w3, w8)
            Self.next(&w11, w12, w4, w9)
            Self.next(&w12, w13, w5, w10)
            Self.next(&w13, w14, w6, w11)
            Self.next(&w14, w15, w7, w12)
            Self.next(&w15, w0, w8, w13)
        }

        @inline(__always)
        private static func word(_ block: UnsafeRawPointer, _ index: Int) -> UInt32 {
            UInt32(bigEndian: block.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
        }

        @inline(__always)
        private static func next(_ w: inout UInt32, _ w1: UInt32, _ w9: UInt32, _ w14: UInt32) {
            let sigma0 = rotated(rotated(w1, 11) ^ w1, 7) ^ w1 &>> 3
            let sigma1 = rotated(rotated(w14, 2) ^ w14, 17) ^ w14 &>> 10
            w = w &+ sigma0 &+ w9 &+ sigma1
        }
    }

    private static func compress(_ state: inout State, _ source: UnsafeRawPointer, blocks: Int) {
        constants.withUnsafeBufferPointer { constants in
            guard let k = constants.baseAddress else { return }
            for index in 0..<blocks {
                let before = state
                var current = before
                var schedule = MessageSchedule(source + index &* BlockBuffer.blockLength)
                current.sixteenRounds(schedule, k)
                for rounds in 1...3 {
                    schedule.advance()
                    current.sixteenRounds(schedule, k + rounds &* 16)
                }
                current.add(before)
                state = current
            }
        }
    }

    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}

import Testing
import WebSocket

@Suite("Frame errors")
struct FrameErrorTests {
    private static let key: [UInt8] = [0, 0, 0, 0]

    static let rows: [(what: String, bytes: [UInt8], error: FrameError, code: CloseCode)] = [
        ("RSV1", [0xc1], .reservedBits, .protocolError),
        ("RSV2", [0xa1], .reservedBits, .protocolError),
        ("RSV3", [0x91], .reservedBits, .protocolError),
        ("RSV1 on a control frame", [0xc9], .reservedBits, .protocolError),
        ("opcode 3", [0x83], .reservedOpcode, .protocolError),
        ("opcode 7", [0x87], .reservedOpcode, .protocolError),
        ("opcode 11", [0x8b], .reservedOpcode, .protocolError),
        ("opcode 15", [0x8f], .reservedOpcode, .protocolError),
        ("text without mask", [0x81, 0x05], .unmasked, .protocolError),
        ("ping without mask", [0x89, 0x00], .unmasked, .protocolError),
        ("ping without FIN", [0x09], .controlFragmented, .protocolError),
        ("close without FIN", [0x08], .controlFragmented, .protocolError),
        ("ping of 126 bytes", [0x89, 0xfe], .controlTooLong, .protocolError),
        ("close of a 64-bit length", [0x88, 0xff], .controlTooLong, .protocolError),
        ("125 in 16 bits", [0x81, 0xfe, 0, 125], .lengthNotMinimal, .protocolError),
        ("65535 in 64 bits", [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], .lengthNotMinimal, .protocolError),
        ("2^63", [0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], .lengthOverflow, .protocolError),
        ("continuation first", [0x80, 0x80] + key, .continuationWithoutStart, .protocolError),
        (
            "continuation after a whole message", [0x81, 0x80] + key + [0x80, 0x80] + key, .continuationWithoutStart,
            .protocolError
        ),
        ("text in fragments", [0x01, 0x80] + key + [0x81, 0x80] + key, .continuationExpected, .protocolError),
        ("binary in fragments", [0x01, 0x80] + key + [0x02, 0x80] + key, .continuationExpected, .protocolError),
        ("close of one byte", [0x88, 0x81] + key + [3], .closePayloadTooShort, .protocolError),
        ("close 999", [0x88, 0x82] + key + [3, 0xe7], .closeCodeInvalid, .protocolError),
        ("close 1005", [0x88, 0x82] + key + [3, 0xed], .closeCodeInvalid, .protocolError),
        ("close 1006", [0x88, 0x82] + key + [3, 0xee], .closeCodeInvalid, .protocolError),
        ("close 5000", [0x88, 0x82] + key + [0x13, 0x88], .closeCodeInvalid, .protocolError),
        ("close reason", [0x88, 0x83] + key + [3, 0xe8, 0xff], .invalidUTF8, .invalidPayload),
        ("close reason cut", [0x88, 0x84] + key + [3, 0xe8, 0xe4, 0xbd], .invalidUTF8, .invalidPayload),
        ("text", [0x81, 0x81] + key + [0xff], .invalidUTF8, .invalidPayload),
        ("text cut", [0x81, 0x82] + key + [0xe4, 0xbd], .invalidUTF8, .invalidPayload),
        (
            "text cut at the last fragment", [0x01, 0x81] + key + [0xe4] + [0x80, 0x81] + key + [0xbd], .invalidUTF8,
            .invalidPayload
        ),
        (
            "inside a frame, long before its end", [0x81, 0xfe, 0x40, 0] + key + [0x61, 0xc0], .invalidUTF8,
            .invalidPayload
        ),
        ("over fragments", [0x01, 0x81] + key + [0xed] + [0x00, 0x85] + key + [0xa0], .invalidUTF8, .invalidPayload),
        ("too large", [0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1] + key, .tooLarge, .messageTooBig),
    ]

    @Test("refuses bad frames with their close code, whole, bytewise and at every split", arguments: rows)
    func refuses(row: (what: String, bytes: [UInt8], error: FrameError, code: CloseCode)) {
        #expect(row.error.closeCode == row.code)
        #expect(row.code.isValidOnWire)
        #expect(Outcome(row.bytes).error == row.error)
        #expect(Outcome(bytewise: row.bytes).error == row.error)
        for split in 0...row.bytes.count { #expect(Outcome(row.bytes, splitAt: split).error == row.error) }
        // Not before the byte that is wrong: the rows end there.
        #expect(Outcome(bytewise: row.bytes.dropLast()).error == nil)
    }

    @Test("covers every error but the client's own")
    func complete() {
        #expect(Set(Self.rows.map(\.error)).union([.masked]) == Set(FrameError.allCases))
    }

    @Test("a client refuses a mask")
    func masked() {
        #expect(Outcome([0x81, 0x80], role: .client).error == .masked)
        #expect(Outcome([0x81, 0x00], role: .client).messages == [.text("")])
    }

    @Test("hands out what came before the error, then refuses everything with the same error")
    func sticky() {
        let good = FrameEncoder.text("ok", maskingKey: 1)
        #expect(Outcome(good + [0xc1] + good).messages == [.text("ok")])
        var decoder = MessageDecoder(role: .server, messageBytesMax: 100)
        var bytes = FrameEncoder.frame(.text, "abc".utf8, fin: false, maskingKey: 1) + [0x83]
        bytes.withUnsafeMutableBytes { memory in
            var input = memory
            #expect(throws: FrameError.reservedOpcode) { try decoder.next(&input) }
        }
        #expect(decoder.heldBytes == 0)
        var more = good
        more.withUnsafeMutableBytes { memory in
            var input = memory
            #expect(throws: FrameError.reservedOpcode) { try decoder.next(&input) }
        }
    }
}

@Suite("Close codes (RFC 6455 §7.4)")
struct CloseCodeTests {
    @Test("allows on the wire what is registered for it and what applications own")
    func wire() {
        let valid = (UInt16.min...UInt16.max).filter { CloseCode(rawValue: $0).isValidOnWire }
        #expect(valid == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
    }

    @Test("gives code and reason of a close frame", arguments: [1000, 1003, 1007, 1014, 3000, 4999] as [UInt16])
    func received(code: UInt16) {
        let reason = String(repeating: "é", count: 61)
        let frame = FrameEncoder.close(CloseCode(rawValue: code), reason: reason, maskingKey: 0x0a0b_0c0d)
        #expect(Outcome(frame).messages == [.close(code, reason)])
        #expect(Outcome(bytewise: frame).messages == [.close(code, reason)])
    }

    @Test("gives no code for an empty close frame")
    func empty() {
        #expect(Outcome(FrameEncoder.close(nil, maskingKey: 1)).messages == [.close(nil, "")])
    }
}

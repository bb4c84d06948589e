import Core
import HTTP
import Testing

@Suite("Message serializer and dates")
struct MessageSerializerTests {
    @Test("writes heads")
    func heads() throws {
        var bytes: [UInt8] = []
        try MessageSerializer.appendResponseHead(204, ["A": "b", "C": ""], to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "HTTP/1.1 204 No Content\r\nA: b\r\nC: \r\n\r\n")
        bytes = []
        let head = RequestHead(method: .put, target: "/x?y", headers: ["Host": "h"])
        try MessageSerializer.appendRequestHead(head, to: &bytes)
        #expect(ParsedMessage.parse([bytes]).messages.first?.head == head)
    }

    @Test("refuses to write what would split a response", arguments: ["a\r\nb", "a\nb", "a\rb", "a\0b"])
    func splitting(_ value: String) {
        var bytes: [UInt8] = [1]
        #expect(throws: MessageSerializer.Failure.invalidFieldValue("A")) {
            try MessageSerializer.appendResponseHead(200, ["A": value], to: &bytes)
        }
        #expect(throws: MessageSerializer.Failure.invalidFieldName(value)) {
            try MessageSerializer.appendResponseHead(200, [value: "b"], to: &bytes)
        }
        #expect(throws: MessageSerializer.Failure.invalidRequestLine) {
            try MessageSerializer.appendRequestHead(RequestHead(method: .get, target: "/" + value), to: &bytes)
        }
        #expect(bytes == [1])
    }

    @Test("writes chunks that the decoder reads, and none for nothing")
    func chunks() throws {
        var bytes: [UInt8] = []
        MessageSerializer.appendChunk([], to: &bytes)
        #expect(bytes.isEmpty)
        let piece = [UInt8](repeating: 7, count: 300)
        MessageSerializer.appendChunk(piece, to: &bytes)
        bytes += MessageSerializer.lastChunk
        var buffer = InputBuffer()
        bytes.withUnsafeBytes { buffer.append($0) }
        var decoder = ChunkedDecoder()
        #expect(try decoder.next(&buffer) == .data(piece))
        #expect(try decoder.next(&buffer) == .end)
        #expect(buffer.isEmpty)
    }

    @Test(
        "writes IMF-fixdate",
        arguments: [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_709_164_800_999, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (253_402_300_799_000, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] as [(Int64, String)]
    )
    func dates(_ milliseconds: Int64, _ text: String) {
        #expect(HTTPDate.text(Timestamp(milliseconds: milliseconds)) == text)
    }
}

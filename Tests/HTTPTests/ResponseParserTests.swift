import HTTP
import Testing

@Suite("Response parser (RFC 9112)")
struct ResponseParserTests {
    /// The events of a response with its body pieces joined, then of what follows `finish`.
    private func parse(
        _ pieces: [[UInt8]],
        _ method: HTTP.Method = .get,
        closed: Bool = false
    ) throws -> (head: ResponseHead?, framing: BodyFraming?, body: String, isComplete: Bool) {
        var parser = ResponseParser()
        parser.begin(method)
        var head: ResponseHead?
        var framing: BodyFraming?
        var body: [UInt8] = []
        var isComplete = false
        func drain() throws {
            while let event = try parser.next() {
                switch event {
                case .head(let found, let how): (head, framing) = (found, how)
                case .body(let bytes): body += bytes
                case .end: isComplete = true
                }
            }
        }
        for piece in pieces {
            parser.feed(piece)
            try drain()
        }
        if closed {
            parser.finish()
            try drain()
        }
        return (head, framing, String(decoding: body, as: UTF8.self), isComplete)
    }

    @Test(
        "frames bodies, at every split point",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false),
            ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", false),
            ("HTTP/1.0 200 OK\r\n\r\nhello", "hello", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "", false),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", false),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "", false),
        ]
    )
    func framing(_ text: String, _ body: String, _ closed: Bool) throws {
        for pieces in everySplit(of: Array(text.utf8)) {
            let result = try parse(pieces, closed: closed)
            #expect(result.body == body)
            #expect(result.isComplete)
        }
    }

    @Test("expects no body after HEAD")
    func head() throws {
        let result = try parse([Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8)], .head)
        #expect(result.framing == BodyFraming.none)
        #expect(result.isComplete)
        #expect(result.head?.keepsAlive == true)
    }

    @Test(
        "a connection that closes early leaves the response truncated",
        arguments: ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"]
    )
    func truncated(_ text: String) {
        #expect(throws: HTTPParseError.truncated) { try parse([Array(text.utf8)], closed: true) }
    }

    @Test(
        "refuses malformed responses",
        arguments: [
            ("HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion), ("HTTP/1.1 20 OK\r\n\r\n", .malformedStatusLine),
            ("HTTP/1.1 2000\r\n\r\n", .malformedStatusLine), ("HTTP/1.1 099 A\r\n\r\n", .malformedStatusLine),
            ("HTTP/1.1 600 A\r\n\r\n", .malformedStatusLine), ("ICY 200 OK  \r\n\r\n", .malformedStatusLine),
            ("\r\n", .malformedStatusLine),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .repeatedContentLength),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                .lengthWithTransferEncoding
            ),
            (String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 9), .tooManyInterimResponses),
        ] as [(String, HTTPParseError)]
    )
    func malformed(_ text: String, _ expected: HTTPParseError) {
        #expect(throws: expected) { try parse([Array(text.utf8)]) }
    }
}

import HTTP
import Testing

@Suite("HTTP limits: at the limit, and one past")
struct HTTPLimitsTests {
    private func error(_ text: String, _ limits: HTTPLimits = HTTPLimits()) -> HTTPParseError? {
        let whole = ParsedMessage.parse(text, limits: limits).error
        let bytewise = ParsedMessage.parse(text.utf8.map { [$0] }, limits: limits).error
        #expect(whole == bytewise)
        return whole
    }

    @Test("the request line")
    func requestLine() {
        func request(_ lineBytes: Int) -> String {
            "GET /" + String(repeating: "a", count: lineBytes - 14) + " HTTP/1.1\r\nHost: a\r\n\r\n"
        }
        #expect(error(request(8192)) == nil)
        #expect(error(request(8193)) == .requestLineTooLong)
        #expect(HTTPParseError.requestLineTooLong.status == 414)
    }

    @Test("a request line without end is refused before it is buffered")
    func endlessRequestLine() {
        var parser = RequestParser()
        parser.feed([UInt8](repeating: UInt8(ascii: "a"), count: 8194))
        #expect(throws: HTTPParseError.requestLineTooLong) { try parser.next() }
    }

    @Test("the header section's bytes")
    func headerBytes() {
        func request(_ sectionBytes: Int) -> String {
            let value = String(repeating: "v", count: sectionBytes - "Host: a\r\n".utf8.count - "A: \r\n".utf8.count)
            return "GET / HTTP/1.1\r\nHost: a\r\nA: \(value)\r\n\r\n"
        }
        #expect(error(request(32 * 1024)) == nil)
        #expect(error(request(32 * 1024 + 1)) == .headersTooLarge)
        #expect(HTTPParseError.headersTooLarge.status == 431)
    }

    @Test("the number of fields")
    func headerCount() {
        func request(_ count: Int) -> String {
            "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: count - 1) + "\r\n"
        }
        #expect(error(request(100)) == nil)
        #expect(error(request(101)) == .tooManyHeaders)
        #expect(HTTPParseError.tooManyHeaders.status == 431)
    }

    @Test("empty lines before the request line, counted anew for each request")
    func leadingEmptyLines() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        let empty = String(repeating: "\r\n", count: 4)
        #expect(error(empty + request + empty + request) == nil)
        #expect(error("\r\n" + empty + request) == .tooManyLeadingEmptyLines)
    }

    @Test("a chunk's first line")
    func chunkLine() {
        func request(_ lineBytes: Int) -> String {
            let line = "1;" + String(repeating: "x", count: lineBytes - 2)
            return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(line)\r\na\r\n0\r\n\r\n"
        }
        #expect(error(request(256)) == nil)
        #expect(error(request(257)) == .chunkLineTooLong)
    }

    @Test("the cost of chunk lines")
    func chunkOverhead() {
        func request(_ chunks: Int) -> String {
            // Each line counts 100 bytes, and its chunk pays for 18.
            let chunk = "1;" + String(repeating: "x", count: 96) + "\r\na\r\n"
            return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + String(repeating: chunk, count: chunks) + "0\r\n\r\n"
        }
        #expect(error(request(199)) == nil)
        #expect(error(request(200)) == .chunkOverheadTooLarge)
    }

    @Test("one-byte chunks without extensions are never refused")
    func smallChunks() {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(error(request + String(repeating: "1\r\na\r\n", count: 20_000) + "0\r\n\r\n") == nil)
    }

    @Test("the trailer section's bytes")
    func trailerBytes() {
        func request(_ bytes: Int) -> String {
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "
                + String(repeating: "v", count: bytes - 5) + "\r\n\r\n"
        }
        #expect(error(request(4096)) == nil)
        #expect(error(request(4097)) == .headersTooLarge)
    }

    @Test("the largest length")
    func contentLength() {
        #expect(error("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n") == nil)
    }
}

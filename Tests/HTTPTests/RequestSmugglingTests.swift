import Core
import HTTP
import Testing

@Suite("Ambiguous and malformed requests")
struct RequestSmugglingTests {
    @Test(
        "refuses the header section",
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 5", .repeatedContentLength),
            ("Content-Length: 5\r\nContent-Length: 6", .repeatedContentLength),
            ("Content-Length: 5, 5", .invalidContentLength),
            ("Content-Length: +5", .invalidContentLength),
            ("Content-Length: -5", .invalidContentLength),
            ("Content-Length: 5 5", .invalidContentLength),
            ("Content-Length: 0x5", .invalidContentLength),
            ("Content-Length:", .invalidContentLength),
            ("Content-Length: 9223372036854775808", .invalidContentLength),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", .lengthWithTransferEncoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", .lengthWithTransferEncoding),
            ("Transfer-Encoding: gzip, chunked", .unsupportedTransferEncoding),
            ("Transfer-Encoding: chunked, chunked", .unsupportedTransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .unsupportedTransferEncoding),
            ("Transfer-Encoding: xchunked", .unsupportedTransferEncoding),
            ("Transfer-Encoding: identity", .unsupportedTransferEncoding),
            ("Transfer-Encoding: \"chunked\"", .unsupportedTransferEncoding),
            ("Transfer-Encoding: chunked\u{B}", .invalidFieldValue),
            ("Transfer-Encoding : chunked", .invalidFieldName),
            ("Transfer-Encoding\t: chunked", .invalidFieldName),
            ("A: b\r\n Content-Length: 5", .foldedHeader),
            ("A: b\r\n\tc", .foldedHeader),
            ("A: b\rContent-Length: 5", .invalidFieldValue),
            ("A: b\nContent-Length: 5", .bareLineFeed),
            ("A: b\0c", .invalidFieldValue),
            ("A: b\u{7F}", .invalidFieldValue),
            ("A b: c", .invalidFieldName),
            ("A", .invalidFieldName),
            (": b", .invalidFieldName),
            ("Ä: b", .invalidFieldName),
            ("A(b): c", .invalidFieldName),
            ("Host: a", .repeatedHost),
            ("Expect: something", .unsupportedExpectation),
        ] as [(String, HTTPParseError)]
    )
    func headerSection(_ fields: String, _ expected: HTTPParseError) {
        let request = "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\nhello"
        #expect(ParsedMessage.parse(request).error == expected)
        #expect(ParsedMessage.parse(request.utf8.map { [$0] }).error == expected)
    }

    @Test(
        "refuses the request line",
        arguments: [
            ("GET /", .malformedRequestLine), ("GET  / HTTP/1.1", .malformedRequestLine),
            ("GET / HTTP/1.1 ", .malformedRequestLine), (" GET / HTTP/1.1", .malformedRequestLine),
            ("GET /\tHTTP/1.1", .malformedRequestLine), ("GET / http/1.1", .malformedRequestLine),
            ("GET / HTTP/1.", .malformedRequestLine), ("GET / HTTP/11", .malformedRequestLine),
            ("GET /a b HTTP/1.1", .malformedRequestLine), ("G\u{1}T / HTTP/1.1", .invalidMethod),
            ("GET(x) / HTTP/1.1", .invalidMethod), ("GET / HTTP/2.0", .unsupportedVersion),
            ("PRI * HTTP/2.0", .unsupportedVersion), ("GET / HTTP/0.9", .unsupportedVersion),
            ("GET * HTTP/1.1", .invalidTarget), ("GET a HTTP/1.1", .invalidTarget),
            ("GET /a#b HTTP/1.1", .invalidTarget), ("GET /ä HTTP/1.1", .invalidTarget),
            ("GET /\u{7F} HTTP/1.1", .invalidTarget), ("CONNECT a:443 HTTP/1.1", .invalidTarget),
            ("GET ftp://a/ HTTP/1.1", .invalidTarget), ("GET http:///x HTTP/1.1", .invalidTarget),
            ("GET http://u@a/ HTTP/1.1", .invalidTarget),
        ] as [(String, HTTPParseError)]
    )
    func requestLine(_ line: String, _ expected: HTTPParseError) {
        #expect(ParsedMessage.parse(line + "\r\nHost: a\r\n\r\n").error == expected)
    }

    @Test(
        "refuses the Host field",
        arguments: [
            "", "a b", "a/b", "a@b", "a:b", "a:123456", "a:1:2", ":80", "[::1", "[]", "[::1]80", "[g]", "a\"b", "a\\b",
        ]
    )
    func host(_ value: String) {
        #expect(ParsedMessage.parse("GET / HTTP/1.1\r\nHost: \(value)\r\n\r\n").error == .invalidHost)
    }

    @Test("wants Host in HTTP/1.1, not in HTTP/1.0")
    func missingHost() {
        #expect(ParsedMessage.parse("GET / HTTP/1.1\r\n\r\n").error == .missingHost)
        #expect(ParsedMessage.parse("GET / HTTP/1.0\r\n\r\n").error == nil)
    }

    @Test("refuses Transfer-Encoding in HTTP/1.0")
    func transferEncodingInHTTP10() {
        let request = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        #expect(ParsedMessage.parse(request).error == .transferEncodingInHTTP10)
    }

    @Test(
        "refuses a chunked body",
        arguments: [
            ("x\r\n", .invalidChunkSize), ("\r\n", .invalidChunkSize), ("-1\r\n", .invalidChunkSize),
            ("0x1\r\n", .invalidChunkSize), (" 1\r\na\r\n", .invalidChunkSize), ("1 \r\na\r\n", .invalidChunkSize),
            ("1\na\r\n", .bareLineFeed), ("1\r\nab\r\n", .missingChunkEnd), ("1\r\na\n", .bareLineFeed),
            ("1\r\na0\r\n\r\n", .missingChunkEnd), ("1;a\rb\r\na\r\n", .invalidChunkExtension),
            ("1;a\u{1}\r\na\r\n", .invalidChunkExtension), ("1000000000000000\r\n", .chunkTooLarge),
            ("0000000000000001\r\na\r\n", .chunkTooLarge), ("0\r\nbad trailer\r\n\r\n", .invalidFieldName),
            ("0\r\n x\r\n\r\n", .foldedHeader),
        ] as [(String, HTTPParseError)]
    )
    func chunks(_ body: String, _ expected: HTTPParseError) {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
        #expect(ParsedMessage.parse(request).error == expected)
        #expect(ParsedMessage.parse(request.utf8.map { [$0] }).error == expected)
    }

    @Test("every error has a status and a problem that says it")
    func problems() {
        for error in HTTPParseError.allCases {
            #expect(error.problem.status == error.status)
            #expect([400, 414, 417, 431, 505].contains(error.status))
            #expect(!error.problem.detail.isEmpty)
        }
    }
}

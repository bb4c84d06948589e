/// How a message's body ends (RFC 9112 §6.3).
package enum BodyFraming: Sendable, Equatable {
    /// There is no body.
    case none
    /// So many bytes.
    case length(Int)
    /// The chunked coding.
    case chunked
    /// Whatever comes until the peer closes; only responses.
    case untilClose

    /// What a request's fields say; anything ambiguous is refused (RFC 9112 §6.1, §6.3, §11.2).
    static func ofRequest(_ headers: Headers, minorVersion: Int) throws(HTTPParseError) -> BodyFraming {
        if let coding = try transferCoding(headers, minorVersion: minorVersion) { return coding }
        guard let length = try contentLength(headers) else { return .none }
        return .length(length)
    }

    /// What a response's fields say, given the request's method.
    static func ofResponse(_ head: ResponseHead, to method: Method) throws(HTTPParseError) -> BodyFraming {
        let coding = try transferCoding(head.headers, minorVersion: head.minorVersion)
        let length = try contentLength(head.headers)
        if method == .head || head.status.forbidsBody { return .none }
        if let coding { return coding }
        guard let length else { return .untilClose }
        return .length(length)
    }

    private static func transferCoding(
        _ headers: Headers,
        minorVersion: Int
    ) throws(HTTPParseError) -> BodyFraming? {
        let lines = headers.values("Transfer-Encoding")
        guard let first = lines.first else { return nil }
        guard minorVersion > 0 else { throw .transferEncodingInHTTP10 }
        guard headers["Content-Length"] == nil else { throw .lengthWithTransferEncoding }
        guard lines.count == 1, Headers.equal(first, "chunked") else { throw .unsupportedTransferEncoding }
        return .chunked
    }

    private static func contentLength(_ headers: Headers) throws(HTTPParseError) -> Int? {
        let lines = headers.values("Content-Length")
        guard let first = lines.first else { return nil }
        guard lines.count == 1 else { throw .repeatedContentLength }
        // `Int` alone would take a sign. It refuses what overflows.
        guard !first.isEmpty, first.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = Int(first)
        else { throw .invalidContentLength }
        return length
    }
}

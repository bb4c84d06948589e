import Core
import HTTP

/// How a response goes out: its complete fields, its framing, and whether the connection stays.
struct ResponsePlan {
    private(set) var headers: Headers
    /// Whether the body is written; not for HEAD, 1xx, 204 and 304.
    let sendsBody: Bool
    let isChunked: Bool
    let keepsAlive: Bool

    /// - Parameters:
    ///   - response: As the handler made it.
    ///   - request: The head it answers; `nil` for input that was no request.
    ///   - requestID: Echoed in `X-Request-Id`.
    ///   - date: The `Date` field's value.
    ///   - mayKeepAlive: Whether the server would keep the connection.
    init(_ response: Response, to request: RequestHead?, requestID: String, date: String, mayKeepAlive: Bool) {
        headers = response.headers
        let isHead = request?.method == .head
        sendsBody = !isHead && !response.status.forbidsBody
        var length: Int?
        switch response.body {
        case .empty, .upgrade: length = 0
        case .bytes(let bytes): length = bytes.count
        case .stream(let known, _): length = known
        case .file(_, _, let count): length = count
        }
        headers["Transfer-Encoding"] = nil
        let isHTTP10 = request.map { $0.minorVersion == 0 } ?? false
        isChunked = sendsBody && length == nil && !isHTTP10
        if response.status.forbidsBody {
            headers["Content-Length"] = nil
        } else if case .empty = response.body, isHead, headers["Content-Length"] != nil {
            // The handler knows the length without having made the body.
        } else {
            headers["Content-Length"] = length.map(String.init)
            if isChunked { headers["Transfer-Encoding"] = "chunked" }
        }
        let endsAtClose = sendsBody && length == nil && isHTTP10
        keepsAlive =
            mayKeepAlive && !endsAtClose && request?.keepsAlive ?? false
            && !response.headers.contains("Connection", token: "close")
        if !keepsAlive {
            headers["Connection"] = "close"
        } else if isHTTP10 {
            headers["Connection"] = "keep-alive"
        }
        headers["Date"] = date
        headers["X-Request-Id"] = requestID
    }
}

package import Core

/// A response status (RFC 9110 §15).
package struct Status: Sendable, Hashable, ExpressibleByIntegerLiteral {
    package let code: Int

    package init(_ code: Int) { self.code = code }
    package init(integerLiteral value: Int) { code = value }

    package static let ok: Status = 200
    package static let created: Status = 201
    package static let noContent: Status = 204
    package static let partialContent: Status = 206
    package static let notModified: Status = 304
}

/// A response as a handler returns it.
///
/// The server adds `Date`, `Content-Length` or `Transfer-Encoding`, `Connection` and `X-Request-Id`.
package struct Response: Sendable {
    package var status: Status
    package var headers: Headers
    package var body: ResponseBody

    package init(_ status: Status = .ok, headers: Headers = [:], body: ResponseBody = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A complete body of the given type.
    package init(_ status: Status = .ok, contentType: String, _ bytes: [UInt8]) {
        self.init(status, headers: ["Content-Type": contentType], body: .bytes(bytes))
    }

    /// RFC 9457 `application/problem+json`.
    package init(_ problem: Problem) {
        var text = #"{"type":"about:blank","title":"# + JSONText.quoted(Status(problem.status).reasonPhrase)
        text += #","status":\#(problem.status),"detail":"# + JSONText.quoted(problem.detail)
        text += #","code":"\#(problem.code.rawValue)""#
        if !problem.errors.isEmpty {
            let errors = problem.errors.map { error in
                #"{"detail":\#(JSONText.quoted(error.rule)),"pointer":\#(JSONText.quoted(error.pointer))}"#
            }
            text += #","errors":[\#(errors.joined(separator: ","))]"#
        }
        text += "}"
        self.init(Status(problem.status), contentType: "application/problem+json", Array(text.utf8))
        for header in problem.headers { headers.add(header.name, header.value) }
    }
}

extension Problem.FieldError {
    /// The member as a JSON pointer in a URI fragment (RFC 6901 §6): `#/users/3/name`; `#` for the whole body.
    fileprivate var pointer: String {
        guard field != "body" else { return "#" }
        let escaped = field.replacing("~", with: "~0").replacing("/", with: "~1")
        let path = escaped.replacing("[", with: ".").replacing("]", with: "")
        return path.split(separator: ".").reduce("#") { $0 + "/" + PercentEncoding.encode($1) }
    }
}

/// A response's body.
package enum ResponseBody: Sendable {
    case empty
    case bytes([UInt8])
    /// Pieces that `next` makes until it returns `nil`; `length` if known, else chunked. `next` is asked for more
    /// only when the socket has taken the last piece.
    case stream(length: Int?, next: @Sendable () async throws -> [UInt8]?)
    /// `length` bytes of an open file from `offset` on, sent without copying (`sendfile`). The connection closes the
    /// descriptor when it is done with it, whatever the outcome.
    case file(descriptor: Int32, offset: Int, length: Int)
    /// 101: hands the connection over (RFC 9110 §7.8). Runs on the connection's event loop; the transport
    /// defines what it gets.
    case upgrade(any ConnectionUpgrade)
}

/// What takes a connection over after 101; the transport knows the concrete types.
package protocol ConnectionUpgrade: Sendable {}

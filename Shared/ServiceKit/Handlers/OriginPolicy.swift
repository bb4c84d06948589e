internal import Core
package import HTTP

/// Which web origins (RFC 6454) may call us from a browser: the allow-list of the settings, and the edge's own.
///
/// CORS answers and the WebSocket handshake ask the same policy.
package struct OriginPolicy: Sendable {
    private let allowed: Set<String>
    private let allowsAny: Bool
    /// Whether a foreign origin may send credentials.
    package let allowsCredentials: Bool

    package init(allowedOrigins: [String], allowsCredentials: Bool) {
        allowed = Set(allowedOrigins.map { $0.lowercased() })
        allowsAny = allowedOrigins.contains("*")
        self.allowsCredentials = allowsCredentials
    }

    /// The policy of the settings.
    package init(_ settings: Settings) {
        self.init(
            allowedOrigins: settings[SettingsCatalogue.corsAllowedOrigins],
            allowsCredentials: settings[SettingsCatalogue.corsAllowCredentials]
        )
    }

    /// Whether the page that sent the request may have done so.
    ///
    /// A request without `Origin` is no browser's cross-origin one, so it may.
    package func allows(_ request: Request) -> Bool {
        guard let origin = request.headers["Origin"] else { return true }
        return isOwn(origin, request) || allowsForeign(origin)
    }

    /// Whether `origin` is on the allow-list.
    package func allowsForeign(_ origin: String) -> Bool {
        // An origin is ASCII (RFC 6454 §6.1), and to hash anything else takes the square of a run of combining marks.
        allowsAny || (origin.isASCII && allowed.contains(origin.lowercased()))
    }

    /// Whether `origin` is the address under which the client reached the edge.
    package func isOwn(_ origin: String, _ request: Request) -> Bool {
        guard origin.isASCII, let host = request.headers["Host"] else { return false }
        return origin.lowercased() == (request.isSecure ? "https://" : "http://") + host.lowercased()
    }

    /// Whether `text` is `scheme://host[:port]` with http or https and nothing after it.
    static func isOrigin(_ text: String) -> Bool {
        guard let mark = text.range(of: "://") else { return false }
        let authority = text[mark.upperBound...]
        guard ["http", "https"].contains(text[..<mark.lowerBound].lowercased()), !authority.isEmpty else {
            return false
        }
        return HostPort(parsing: String(authority)) != nil || HostPort(parsing: "\(authority):80") != nil
    }
}

extension String {
    fileprivate func range(of separator: String) -> Range<Index>? {
        firstRange(of: separator)
    }
}

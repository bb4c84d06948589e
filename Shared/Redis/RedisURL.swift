import Foundation

/// Where a server listens.
package struct RedisEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// A name or a numeric address, without brackets.
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// `redis://[user[:password]@]host[:port][,host[:port]…][/database]`: a server, or some of a cluster's.
///
/// What prints it shows no password, and neither do its failures.
package struct RedisURL: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// What is wrong with a URL, in words that hold nothing of it.
    package enum Failure: String, Error, Sendable, Equatable, CustomStringConvertible {
        case notRedis = "must begin with redis:// (TLS, rediss://, is not supported)"
        case malformedUser = "has a user without a password, or a % that encodes nothing"
        case malformedHost = "must name host[:port], several with commas between them; IPv6 addresses in brackets"
        case malformedDatabase = "must end in /N, the number of a database, or in nothing"
        case clusterDatabase = "names several servers, a cluster, which has only the database 0"

        package var description: String { rawValue }
    }

    private static let prefix = "redis://"
    private static let standardPort: UInt16 = 6379

    /// At least one.
    package let endpoints: [RedisEndpoint]
    /// `nil` is the server's default user.
    package let user: String?
    let password: String?
    package let database: Int

    /// A server without a password.
    package init(_ endpoint: RedisEndpoint) {
        endpoints = [endpoint]
        user = nil
        password = nil
        database = 0
    }

    /// - Throws: `Failure`.
    package init(_ text: String) throws(Failure) {
        guard text.hasPrefix(Self.prefix) else { throw .notRedis }
        var rest = text.dropFirst(Self.prefix.count)
        if let at = rest.lastIndex(of: "@") {
            (user, password) = try Self.credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        } else {
            (user, password) = (nil, nil)
        }
        var database = 0
        if let slash = rest.firstIndex(of: "/") {
            let digits = rest[rest.index(after: slash)...]
            guard digits.isEmpty || digits.allSatisfy({ "0"..."9" ~= $0 }), let number = Int("0" + digits) else {
                throw .malformedDatabase
            }
            database = number
            rest = rest[..<slash]
        }
        var endpoints: [RedisEndpoint] = []
        for part in rest.split(separator: ",", omittingEmptySubsequences: false) {
            endpoints.append(try Self.endpoint(part))
        }
        guard endpoints.count == 1 || database == 0 else { throw .clusterDatabase }
        self.endpoints = endpoints
        self.database = database
    }

    private static func credentials(_ text: Substring) throws(Failure) -> (user: String?, password: String) {
        guard let colon = text.firstIndex(of: ":"),
            let user = text[..<colon].removingPercentEncoding,
            let password = text[text.index(after: colon)...].removingPercentEncoding, !password.isEmpty
        else { throw .malformedUser }
        return (user.isEmpty ? nil : user, password)
    }

    private static func endpoint(_ text: Substring) throws(Failure) -> RedisEndpoint {
        var host = text
        var digits: Substring?
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw .malformedHost }
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw .malformedHost }
            digits = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            digits = text[text.index(after: colon)...]
        }
        let port = digits.map { UInt16($0) } ?? standardPort
        let isPlain = host.allSatisfy { $0.isASCII && !$0.isWhitespace && !"/?#@[]%".contains($0) }
        guard !host.isEmpty, isPlain, let port, port > 0 else { throw .malformedHost }
        return RedisEndpoint(host: String(host), port: port)
    }

    package var description: String {
        let hosts = endpoints.map(\.description).joined(separator: ",")
        return Self.prefix + (password == nil ? "" : "\(user ?? ""):***@") + hosts + "/\(database)"
    }

    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}

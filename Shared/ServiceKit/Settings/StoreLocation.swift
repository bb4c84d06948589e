/// Where a service keeps its state: one database file per service in a directory, or a Redis server.
package enum StoreLocation: Sendable, Hashable, CustomStringConvertible {
    /// `sqlite:DIR`.
    case sqlite(directory: String)
    /// `redis://[user[:password]@]host[:port][/database]`.
    case redis(RedisLocation)

    static let rule = "sqlite:DIR or redis://[user[:password]@]host[:port][/database]"

    /// Reads either form.
    package init?(parsing text: String) {
        if text.hasPrefix("sqlite:") {
            let directory = String(text.dropFirst("sqlite:".count))
            guard !directory.isEmpty, !directory.utf8.contains(0) else { return nil }
            self = .sqlite(directory: directory)
        } else if let redis = RedisLocation(parsing: text) {
            self = .redis(redis)
        } else {
            return nil
        }
    }

    /// The location without its password.
    package var description: String {
        switch self {
        case .sqlite(let directory): "sqlite:\(directory)"
        case .redis(let redis): redis.description
        }
    }
}

/// A Redis server and how to log in to it.
package struct RedisLocation: Sendable, Hashable, CustomStringConvertible {
    package let address: HostPort
    package let user: String?
    /// A secret: never logged.
    package let password: String?
    /// 0…15.
    package let database: Int

    init?(parsing text: String) {
        guard text.hasPrefix("redis://") else { return nil }
        var rest = text.dropFirst("redis://".count)
        var database = 0
        if let slash = rest.lastIndex(of: "/") {
            let number = rest[rest.index(after: slash)...]
            guard number.isEmpty || (Int(number).map { (0...15).contains($0) } ?? false) else { return nil }
            database = Int(number) ?? 0
            rest = rest[..<slash]
        }
        var user: String?
        var password: String?
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = login[0].isEmpty ? nil : String(login[0])
            password = login.count == 2 ? String(login[1]) : nil
            rest = rest[rest.index(after: at)...]
        }
        guard let address = HostPort(parsing: String(rest)) ?? HostPort(parsing: "\(rest):6379"), address.port > 0
        else { return nil }
        self.address = address
        self.user = user
        self.password = password
        self.database = database
    }

    package var description: String { "redis://\(address)/\(database)" }
}

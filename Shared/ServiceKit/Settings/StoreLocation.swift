package import Redis

/// Where a service keeps its state: one database file per service in a directory, or a Redis server.
package enum StoreLocation: Sendable, Equatable, CustomStringConvertible {
    /// `sqlite:DIR`.
    case sqlite(directory: String)
    /// `redis://[user:password@]host[:port][/database]`, or several servers of a cluster.
    case redis(RedisURL)

    static let rule = "sqlite:DIR or redis://[[user]:password@]host[:port][,host[:port]…][/database]"

    /// Reads either form.
    package init?(parsing text: String) {
        if text.hasPrefix("sqlite:") {
            let directory = String(text.dropFirst("sqlite:".count))
            guard !directory.isEmpty, !directory.utf8.contains(0) else { return nil }
            self = .sqlite(directory: directory)
        } else if let redis = try? RedisURL(text) {
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

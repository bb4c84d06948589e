package import Core
import Transport

/// Which rules hold: `production` has no default secrets and no demo accounts.
package enum StackEnvironment: String, Sendable, CaseIterable {
    case production, development
}

/// What all services share.
extension SettingsCatalogue {
    static let common: [any SettingDeclaration] = [
        environment, store, dataDirectory, serverHost, serverPort, corsAllowedOrigins, corsAllowCredentials,
        internalToken, httpTrustedProxies, httpLoopThreads, httpConnectionsMax, logLevel, shutdownGrace,
    ]

    package static let environment = Setting<StackEnvironment>.choice(
        "environment",
        default: .production,
        "production, or development with default secrets and demo accounts"
    )

    package static let store = Setting.store(
        "store",
        default: .sqlite(directory: ".data"),
        "where state is kept; without it sqlite: and data_dir"
    )

    package static let dataDirectory = Setting.path(
        "data_dir",
        default: ".data",
        "the directory of databases and blobs"
    )

    package static let serverHost = Setting.string(
        "server.host",
        default: "127.0.0.1",
        bytes: 1...253,
        "the edge's public address, for nginx"
    )

    package static let serverPort = Setting.integer(
        "server.port",
        default: 6006,
        in: 1...65535,
        "the edge's public port, for nginx"
    )

    package static let corsAllowedOrigins = Setting.list(
        "cors.allowed_origins",
        default: [],
        rule: "an origin such as https://example.com, or *",
        "origins besides the edge's own that browsers may call and open WebSockets from"
    ) { $0 == "*" || OriginPolicy.isOrigin($0) }

    package static let corsAllowCredentials = Setting.bool(
        "cors.allow_credentials",
        default: false,
        "whether such an origin may send the session cookie"
    )

    package static let internalToken = Setting.secret(
        "internal.token",
        developmentDefault: "development-internal-token",
        "what services show each other in X-Internal-Token"
    )

    package static let httpTrustedProxies = Setting.list(
        "http.trusted_proxies",
        default: ["127.0.0.1", "::1"],
        rule: "an IP address or a network such as 10.0.0.0/8",
        "peers whose X-Forwarded-For and X-Forwarded-Proto are believed"
    ) { TrustedProxies([$0]) != nil }

    package static let httpLoopThreads = Setting.integer(
        "http.loop_threads",
        default: 1,
        in: 1...64,
        "event loop threads of each service"
    )

    package static let httpConnectionsMax = Setting.integer(
        "http.connections_max",
        default: 4096,
        in: 1...1_000_000,
        "open connections of auth, files and presence each; more are refused"
    )

    package static let logLevel = Setting<LogLevel>.choice("log.level", default: .info, "the least that is logged")

    package static let shutdownGrace = Setting.duration(
        "shutdown.grace_ms",
        default: 8000,
        in: 0...600_000,
        "how long requests may take to finish after SIGTERM"
    )

    static let commonRelations: [Relation] = [
        { settings in
            guard settings[corsAllowCredentials], settings[corsAllowedOrigins].contains("*") else { return nil }
            return .init(key: corsAllowedOrigins.key, value: "[\"*\"]", rule: "never * with cors.allow_credentials")
        }
    ]
}

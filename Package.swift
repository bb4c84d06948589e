// swift-tools-version: 6.2
import PackageDescription

// The layers, bottom up. A target sees only what its row names; `make check` builds with
// `--explicit-target-dependency-import-check error`, so the table is a proof and not a wish.
//
//   Core                          nothing of ours
//   Crypto                        Core
//   HTTP, WebSocket               Core, Crypto            pure codecs: no sockets, no files
//   Net, Storage                  Core                    sockets and event loops; SQLite
//   Redis                         Core, Net               codec and clients of Redis
//   Contracts                     Core                    internal JSON shapes
//   Transport                     codecs + Net            servers and clients
//   RedisStorage                  Redis, Storage          what services keep in Redis
//   ServiceKit                    all above               what every service's main needs
//   Services/*                    any of these, never each other

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

func shared(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        path: "Shared/\(name)",
        exclude: ["README.md"],
        swiftSettings: settings
    )
}

func system(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: "Shared/\(name)", pkgConfig: pkgConfig)
}

/// What lies beside the sources of a service for its readers.
let documents = [
    "auth": ["API.md"], "files": ["API.md", "Blobs/README.md", "Tus/README.md"],
    "gateway": ["PROTOCOL.md", "ConversationLog/Redis/README.md", "Peers/README.md"],
    "presence": ["Instances/README.md"],
]

func service(_ name: String, folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies,
        path: "Services/\(folder)",
        exclude: ["README.md"] + documents[folder, default: []],
        swiftSettings: settings
    )
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name,
        dependencies: dependencies,
        path: "Tests/\(name)",
        resources: resources,
        swiftSettings: settings
    )
}

let kit: [Target.Dependency] = [
    "Core", "Crypto", "HTTP", "Net", "Storage", "Contracts", "Transport", "ServiceKit",
]

let package = Package(
    name: "support-chat",
    products: [
        .executable(name: "auth", targets: ["AuthService"]),
        .executable(name: "files", targets: ["FilesService"]),
        .executable(name: "presence", targets: ["PresenceService"]),
        .executable(name: "gateway", targets: ["GatewayService"]),
        .executable(name: "websocket-echo", targets: ["WebSocketEcho"]),
        .executable(name: "simulation", targets: ["Simulation"]),
        .executable(name: "redis-load", targets: ["RedisLoad"]),
    ],
    targets: [
        system("CSQLite", pkgConfig: "sqlite3"),
        system("CCrypt"),
        system("CLinux"),

        shared("Core", []),
        shared("Crypto", ["Core", "CCrypt", "CLinux"]),
        shared("HTTP", ["Core", "Crypto"]),
        shared("WebSocket", ["Core", "Crypto"]),
        shared("Net", ["Core", "CLinux"]),
        shared("Storage", ["Core", "CSQLite"]),
        shared("Redis", ["Core", "Net"]),
        shared("Contracts", ["Core"]),
        shared("Transport", ["Core", "Crypto", "HTTP", "WebSocket", "Net", "CLinux"]),
        shared(
            "ServiceKit",
            ["Core", "Crypto", "HTTP", "Net", "Redis", "RedisStorage", "Storage", "Transport", "Contracts"]
        ),
        shared("RedisStorage", ["Core", "Net", "Redis", "Storage"]),
        shared("TestSupport", ["Core", "HTTP", "Net", "Redis", "RedisStorage", "Transport", "Storage"]),

        service("AuthService", folder: "auth", kit),
        service("FilesService", folder: "files", kit),
        service("PresenceService", folder: "presence", kit),
        service("GatewayService", folder: "gateway", kit + ["Redis", "WebSocket"]),
        .executableTarget(
            name: "WebSocketEcho",
            dependencies: ["Core", "HTTP", "WebSocket", "Net", "Transport", "ServiceKit"],
            path: "Tests/WebSocketEcho",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "RedisLoad",
            dependencies: ["Core", "Net", "Redis"],
            path: "Tests/RedisLoad",
            swiftSettings: settings
        ),

        .executableTarget(
            name: "Simulation",
            dependencies: ["Core", "Contracts", "HTTP", "Net", "ServiceKit", "Storage", "Transport"],
            path: "Tests/Simulation",
            exclude: ["README.md"],
            swiftSettings: settings
        ),

        tests("CoreTests", ["Core", "TestSupport"]),
        tests("CryptoTests", ["Core", "Crypto", "TestSupport"]),
        tests("HTTPTests", ["Core", "HTTP", "TestSupport"]),
        tests("WebSocketTests", ["Core", "WebSocket", "TestSupport"]),
        tests("NetTests", ["Core", "Net", "TestSupport"]),
        tests("StorageTests", ["Core", "Storage", "TestSupport"]),
        tests("RedisStorageTests", ["Core", "Net", "Redis", "RedisStorage", "Storage", "TestSupport"]),
        tests("RedisTests", ["Core", "Net", "Redis", "TestSupport"]),
        tests("TransportTests", ["Core", "HTTP", "WebSocket", "Net", "Transport", "TestSupport"]),
        tests("ServiceKitTests", kit + ["Redis", "TestSupport"]),
        tests("AuthServiceTests", kit + ["AuthService", "TestSupport"]),
        tests("FilesServiceTests", kit + ["FilesService", "TestSupport"]),
        tests("PresenceServiceTests", kit + ["PresenceService", "TestSupport"]),
        tests("GatewayServiceTests", kit + ["Redis", "WebSocket", "GatewayService", "TestSupport"]),
        tests("TidyTests", []),
    ]
)

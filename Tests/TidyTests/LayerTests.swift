import Foundation
import Testing

/// The table of layers, once more: a dependency added to Package.swift in passing fails here.
@Suite("Layers")
struct LayerTests {
    private static let shared: [String: Set<String>] = [
        "Core": [],
        "Crypto": ["Core", "CCrypt", "CLinux"],
        "HTTP": ["Core", "Crypto"],
        "WebSocket": ["Core", "Crypto"],
        "Net": ["Core", "CLinux"],
        "Storage": ["Core", "CSQLite"],
        "Redis": ["Core", "Net"],
        "Contracts": ["Core"],
        "Transport": ["Core", "Crypto", "HTTP", "WebSocket", "Net", "CLinux"],
        "ServiceKit": [
            "Core", "Crypto", "HTTP", "Net", "Redis", "RedisStorage", "Storage", "Transport", "Contracts",
        ],
        "RedisStorage": ["Core", "Net", "Redis", "Storage"],
        "TestSupport": ["Core", "HTTP", "Net", "Redis", "RedisStorage", "Transport", "Storage"],
    ]
    private static let kit: Set<String> = [
        "Core", "Crypto", "HTTP", "Net", "Storage", "Contracts", "Transport", "ServiceKit",
    ]

    @Test("each module of Shared depends on what its layer may see, and on nothing else")
    func sharedModules() throws {
        let manifest = try #require(SourceTree.text("Package.swift"))
        var declared: [String: Set<String>] = [:]
        for match in manifest.matches(of: /\n\s+shared\(\s*"(\w+)",\s*\[([^\]]*)\]\s*\)/) {
            declared[String(match.1)] = Self.names(match.2)
        }
        #expect(declared == Self.shared)
    }

    @Test("services depend on the kit, never on each other")
    func services() throws {
        let manifest = try #require(SourceTree.text("Package.swift"))
        let kit = try #require(manifest.firstMatch(of: /let kit: \[Target\.Dependency\] = \[([^\]]*)\]/))
        #expect(Self.names(kit.1) == Self.kit)

        var declared: [String: Set<String>] = [:]
        for match in manifest.matches(of: /\n\s+service\("(\w+)", folder: "\w+", kit(?: \+ \[([^\]]*)\])?\)/) {
            declared[String(match.1)] = Self.names(match.2 ?? "")
        }
        #expect(
            declared == [
                "AuthService": [], "FilesService": [], "PresenceService": [],
                "GatewayService": ["Redis", "WebSocket"],
            ]
        )
    }

    @Test("only Storage sees SQLite, and only what has threads or sockets sees Linux")
    func systemModules() throws {
        let allowed = [
            "CSQLite": ["Shared/Storage"], "CCrypt": ["Shared/Crypto"],
            "CLinux": ["Shared/Crypto", "Shared/Net", "Shared/Transport"],
        ]
        for file in try SourceTree.swiftFiles(in: ["Shared", "Services"]) {
            for (module, folders) in allowed where !folders.contains(file.folder) {
                #expect(!file.code.contains { $0.contains("import \(module)") }, "\(file.path) imports \(module)")
            }
        }
    }

    private static func names(_ list: Substring) -> Set<String> {
        Set(list.matches(of: /"(\w+)"/).map { String($0.1) })
    }
}

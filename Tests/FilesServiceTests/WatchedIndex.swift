import ServiceKit

@testable import FilesService

/// The index, with something that happens around each look at a shard, before a record is stored, or before a blob is
/// condemned.
struct WatchedIndex: FileIndex {
    let base: any FileIndex
    var beforeLook: @Sendable (_ prefix: String) async throws -> Void = { _ in }
    var afterLook: @Sendable (_ prefix: String) async throws -> Void = { _ in }
    var beforeInsertion: @Sendable (_ record: FileRecord) async throws -> Void = { _ in }
    var beforeCondemnation: @Sendable () async throws -> Void = {}

    func insert(_ record: FileRecord, within limits: UploadLimits, removals: Int) async throws {
        try await beforeInsertion(record)
        try await base.insert(record, within: limits, removals: removals)
    }

    func removals(of sha256: String) async throws -> Int { try await base.removals(of: sha256) }

    func condemn(sha256: String) async throws -> Bool {
        try await beforeCondemnation()
        return try await base.condemn(sha256: sha256)
    }

    func usage(of userID: String) async throws -> FileUsage { try await base.usage(of: userID) }

    func lookUp(_ id: String, grantedTo userID: String) async throws -> (record: FileRecord, isGranted: Bool)? {
        try await base.lookUp(id, grantedTo: userID)
    }

    func grant(_ id: String, to userIDs: [String], source: String) async throws -> Bool {
        try await base.grant(id, to: userIDs, source: source)
    }

    func revoke(_ id: String, source: String) async throws { try await base.revoke(id, source: source) }

    func remove(_ id: String) async throws -> Bool? { try await base.remove(id) }

    func isReferenced(sha256: String) async throws -> Bool { try await base.isReferenced(sha256: sha256) }

    func blobs(prefix: String) async throws -> Set<String> {
        try await beforeLook(prefix)
        let blobs = try await base.blobs(prefix: prefix)
        try await afterLook(prefix)
        return blobs
    }

    func ping() async throws { try await base.ping() }
}

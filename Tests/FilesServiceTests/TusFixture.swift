import Core
import Crypto
import HTTP
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import FilesService

/// tus requests as a client makes them.
extension FilesFixture {
    static let uploadsPath = "/api/files/uploads"

    func create(_ headers: Headers, as caller: Caller? = customer, body: RequestBody = .empty) async -> Response {
        await tus(.post, Self.uploadsPath, as: caller, headers, body: body)
    }

    func tus(
        _ method: HTTP.Method,
        _ path: String,
        as caller: Caller? = customer,
        _ headers: Headers = [:],
        body: RequestBody = .empty
    ) async -> Response {
        var headers = headers
        headers["Tus-Resumable"] = "1.0.0"
        return await send(method, path, as: caller, headers: headers, body: body)
    }

    /// Begins an upload and gives its path.
    func begun(_ length: Int, name: String = "photo.jpg", as caller: Caller = customer) async throws -> String {
        let response = await create(
            ["Upload-Length": String(length), "Upload-Metadata": "filename \(base64(Array(name.utf8)))"],
            as: caller
        )
        try #require(response.status == .created)
        return try #require(response.headers["Location"])
    }

    func patch(
        _ path: String,
        at offset: Int,
        _ body: RequestBody,
        as caller: Caller? = customer,
        checksum: String? = nil
    ) async -> Response {
        var headers: Headers = [
            "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream",
        ]
        headers["Upload-Checksum"] = checksum
        return await tus(.patch, path, as: caller, headers, body: body)
    }

    func patch(_ path: String, at offset: Int, _ bytes: some Sequence<UInt8>) async -> Response {
        await patch(path, at: offset, RequestBody(Array(bytes)))
    }

    /// The offset that a client is told.
    func offset(_ path: String) async -> String? { await tus(.head, path).headers["Upload-Offset"] }

    /// The document of the file that an upload has become.
    func file(_ path: String) async throws -> Response {
        await send(.get, "/api/files/\(try #require(path.split(separator: "/").last))")
    }
}

/// A clock that a test sets; nobody waits longer than a turn.
final class ManualClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_700_000_000_000)

    var now: Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

    var clock: FilesClock {
        FilesClock(
            now: { self.now },
            monotonicMilliseconds: { self.milliseconds.withLock { $0 } },
            sleep: { duration in
                try Task.checkCancellation()
                self.advance(duration)
                await Task.yield()
            }
        )
    }

    /// The same with waits that only their task's cancellation ends.
    var stoppedClock: FilesClock {
        var stopped = clock
        stopped.sleep = { _ in
            await untilCancelled()
            throw CancellationError()
        }
        return stopped
    }

    func advance(_ delta: Int64) { milliseconds.withLock { $0 += delta } }
}

func checksum(_ algorithm: String, _ bytes: [UInt8]) -> String {
    "\(algorithm) \(Base64.encode(algorithm == "sha1" ? SHA1.hash(bytes) : SHA256.hash(bytes)))"
}

/// Bytes that look like nothing.
func noise(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) } }

/// An index of a process that dies when it would record a file: nothing after that happens.
struct CrashingIndex: PartialUploadIndex {
    struct Crash: Error {}

    let base: any PartialUploadIndex
    private let hasCrashed = Flag()

    private final class Flag: Sendable { let isSet = Atomic<Bool>(false) }

    init(base: any PartialUploadIndex) { self.base = base }

    private func run<Value>(_ body: () async throws -> Value) async throws -> Value {
        guard !hasCrashed.isSet.load(ordering: .relaxed) else { throw Crash() }
        return try await body()
    }

    func insert(_ upload: PartialUpload, within limits: UploadLimits) async throws {
        try await run { try await base.insert(upload, within: limits) }
    }

    func upload(_ id: String) async throws -> PartialUpload? { try await run { try await base.upload(id) } }

    func update(_ id: String, expiresAt: Timestamp, verifiedLength: Int?) async throws {
        try await run { try await base.update(id, expiresAt: expiresAt, verifiedLength: verifiedLength) }
    }

    func complete(
        _ record: FileRecord,
        within limits: UploadLimits,
        expiresAt: Timestamp,
        removals: Int
    ) async throws {
        hasCrashed.isSet.store(true, ordering: .relaxed)
        throw Crash()
    }

    func markRemoved(_ id: String, at time: Timestamp) async throws -> Bool {
        try await run { try await base.markRemoved(id, at: time) }
    }

    func removeUpload(_ id: String) async throws -> Bool { try await run { try await base.removeUpload(id) } }

    func expiredUploads(at time: Timestamp, countMax: Int) async throws -> [String] {
        try await run { try await base.expiredUploads(at: time, countMax: countMax) }
    }

    func removeUploads(expiredBefore time: Timestamp, countMax: Int) async throws -> Int {
        try await run { try await base.removeUploads(expiredBefore: time, countMax: countMax) }
    }

    func openUploads() async throws -> Set<String> { try await run { try await base.openUploads() } }
}

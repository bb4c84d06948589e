import Contracts
import Core
import Foundation
import Glibc
import HTTP
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import FilesService

/// A file service without sockets: real router, real blobs and index in a directory of its own.
struct FilesFixture {
    static let customer = Caller(userID: "anna", userType: .customer, isAdmin: false)
    static let otherCustomer = Caller(userID: "ben", userType: .customer, isAdmin: false)
    static let agent = Caller(userID: "support001", userType: .agent, isAdmin: false)
    static let admin = Caller(userID: "root", userType: .agent, isAdmin: true)

    let directory: TemporaryDirectory
    let store: FileStore
    let database: Database
    let uploads: PartialUploads
    let router: Router

    init(
        base64BytesMax: Int = 1 << 20,
        fileBytesMax: Int = 64 << 20,
        perUserMax: Int = 4,
        perNetworkMax: Int = .max,
        totalMax: Int = 8,
        clock: FilesClock = FilesClock(),
        in directory: TemporaryDirectory? = nil,
        sharing: BlobStore.Sharing = .exclusive,
        freeBytesMin: Int = 0,
        log changes: (any ChangeLog)? = nil,
        limits adjust: (inout UploadLimits) -> Void = { _ in }
    ) async throws {
        self.directory = try directory ?? TemporaryDirectory()
        let log = Log(service: "files", level: .error)
        database = try await Self.open(self.directory, changes)
        let blobs = try BlobStore(
            directory: self.directory.file("store"),
            threads: 2,
            sharing: sharing,
            freeBytesMin: freeBytesMin
        )
        var limits = UploadLimits(try .development())
        limits.base64BytesMax = base64BytesMax
        limits.fileBytesMax = fileBytesMax
        adjust(&limits)
        let index = SQLiteFileIndex(database)
        store = FileStore(index: index, blobs: blobs, limits: limits, log: log)
        let slots = UploadSlots(perUserMax: perUserMax, perNetworkMax: perNetworkMax, totalMax: totalMax)
        uploads = PartialUploads(store, index: index, slots: slots, clock: clock, log: log)
        let authenticate: Authenticate = { request in
            let known = [Self.customer, Self.otherCustomer, Self.agent, Self.admin]
            guard var caller = known.first(where: { $0.userID == request.headers["X-Session-Id"] }) else {
                throw Problem.unauthenticated("no session")
            }
            caller.network = ClientNetwork.key(of: request.remoteAddress)
            return caller
        }
        var router = Router()
        router.mount(
            UploadRoutes(
                store,
                authenticate: authenticate,
                slots: slots,
                log: log
            )
        )
        router.mount(TusRoutes(uploads, authenticate: authenticate, log: log))
        let signer = FileURLSigner(key: [UInt8](repeating: 7, count: 32), lifetimeSeconds: 300)
        router.mount(DownloadRoutes(store, authenticate: authenticate, signer: signer, now: clock.now))
        router.mount(MetadataRoutes(store, authenticate: authenticate, log: log))
        router.mount(InternalRoutes(store))
        self.router = router
    }

    private static func open(_ directory: TemporaryDirectory, _ log: (any ChangeLog)?) async throws -> Database {
        let migrations = SQLiteFileIndex.migrations
        guard let log else { return try await StoreEngine.open(directory.file("files.sqlite"), migrations: migrations) }
        return try await Database.openCopy(
            in: directory.file("copies"),
            name: "files",
            migrations: migrations,
            log: log
        )
    }

    func send(
        _ method: HTTP.Method,
        _ target: String,
        as caller: Caller? = customer,
        headers: Headers = [:],
        body: RequestBody = .empty,
        from address: String = "192.0.2.1"
    ) async -> Response {
        var headers = headers
        if let caller { headers["X-Session-Id"] = caller.userID }
        let head = RequestHead(method: method, target: target, headers: headers)
        return await router.respond(to: Request(head: head, body: body, remoteAddress: address))
    }

    func upload(
        _ bytes: [UInt8],
        name: String = "image.jpg",
        type: String = "image/jpeg",
        as caller: Caller? = customer
    ) async -> Response {
        let text = #"{"file_name":"\#(name)","file_type":"\#(type)","file_data":"\#(base64(bytes))"}"#
        return await send(
            .post,
            "/api/files/upload",
            as: caller,
            headers: ["Content-Type": "application/json"],
            body: RequestBody(Array(text.utf8))
        )
    }

    /// Uploads and gives the answer's document.
    func stored(_ bytes: [UInt8], name: String = "image.jpg", as caller: Caller = customer) async throws -> FileDocument
    {
        try await document(await upload(bytes, name: name, as: caller))
    }

    func document(_ response: Response) async throws -> FileDocument {
        try JSONDecoder().decode(FileDocument.self, from: Data(try await bytes(of: response)))
    }

    /// A response's body; closes its descriptor, as a connection does.
    func bytes(of response: Response) async throws -> [UInt8] {
        switch response.body {
        case .empty, .upgrade: return []
        case .bytes(let bytes): return bytes
        case .stream(_, let next):
            var result: [UInt8] = []
            while let piece = try await next() { result += piece }
            return result
        case .file(let descriptor, let offset, let length):
            defer { close(descriptor) }
            var result = [UInt8](repeating: 0, count: length)
            let count = pread(descriptor, &result, length, off_t(offset))
            return Array(result.prefix(max(0, count)))
        }
    }

    func problemCode(_ response: Response) async throws -> String? {
        struct Document: Decodable { let code: String }
        return try JSONDecoder().decode(Document.self, from: Data(try await bytes(of: response))).code
    }

    /// The files of unfinished uploads on the disk.
    func partialFilesOnDisk() throws -> [String] { try SystemCall.names(in: directory.file("store/uploads")) }

    /// Where a blob lies.
    func path(ofBlob sha256: String) -> String { directory.file("store/blobs/\(sha256.prefix(2))/\(sha256)") }

    /// The blobs and the temporary files on the disk.
    func filesOnDisk() throws -> (blobs: [String], temporary: [String]) {
        let root = directory.file("store")
        let blobs = try BlobStore.shards.flatMap { try SystemCall.names(in: "\(root)/blobs/\($0)") }
        return (blobs, try SystemCall.names(in: root + "/temporary"))
    }
}

/// A body whose pieces a test gives, and which may break.
final class ScriptedBody: BodySource {
    private let pieces: Mutex<[Result<[UInt8], Problem>]>

    init(_ pieces: [Result<[UInt8], Problem>]) { self.pieces = Mutex(pieces) }

    func next() async throws -> [UInt8]? {
        try pieces.withLock { $0.isEmpty ? nil : $0.removeFirst() }?.get()
    }
}

/// A body that waits until a test lets it go on.
final class HeldBody: BodySource {
    private let stream: AsyncStream<[UInt8]>
    let continuation: AsyncStream<[UInt8]>.Continuation
    let started: AsyncStream<Void>
    private let startedContinuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
        (started, startedContinuation) = AsyncStream.makeStream()
    }

    func next() async throws -> [UInt8]? {
        startedContinuation.yield()
        for await piece in stream { return piece }
        return nil
    }
}

let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10] + Array("JFIF".utf8) + (0..<2000).map { UInt8($0 & 0xFF) }

/// Makes or replaces a file as somebody else left it.
func write(_ path: String, _ bytes: [UInt8] = [], modifiedAt time: Timestamp = .now()) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    #expect(descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
    let modified = timespec(tv_sec: Int(time.milliseconds / 1000), tv_nsec: 0)
    var times = [modified, modified]
    #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
}

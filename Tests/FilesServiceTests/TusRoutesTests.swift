import Contracts
import Core
import Crypto
import HTTP
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import FilesService

@Suite("tus: requests and answers")
struct TusRoutesTests {
    @Test("an upload in parts is the document and the blob that an upload in one is")
    func inParts() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(jpeg.count, name: "图片.jpg")
        #expect(await fixture.offset(path) == "0")
        #expect(try await fixture.file(path).status == 404)
        for (start, end) in [(0, 1), (1, 1000), (1000, jpeg.count)] {
            let response = await fixture.patch(path, at: start, jpeg[start..<end])
            #expect(response.status == .noContent)
            #expect(response.headers["Upload-Offset"] == String(end))
            #expect(response.headers["Tus-Resumable"] == "1.0.0")
            #expect((response.headers["Upload-Expires"] == nil) == (end == jpeg.count))
            #expect(await fixture.offset(path) == String(end))
        }
        let document = try await fixture.document(try await fixture.file(path))
        let other = try await fixture.stored(jpeg, name: "图片.jpg")
        #expect(path == "/api/files/uploads/\(document.fileID)")
        #expect(document.fileName == other.fileName && document.sha256 == other.sha256)
        #expect(document.contentType == "image/jpeg" && document.size == jpeg.count)
        #expect(try fixture.filesOnDisk().blobs == [document.sha256])
        #expect(try fixture.filesOnDisk().temporary.isEmpty && fixture.partialFilesOnDisk().isEmpty)
        #expect(try await fixture.bytes(of: await fixture.send(.get, document.url)) == jpeg)
    }

    @Test("creation answers where the upload is and when it expires; OPTIONS what the server has")
    func creation() async throws {
        let manual = ManualClock()
        let fixture = try await FilesFixture(clock: manual.clock)
        let metadata = "filename \(base64(Array("a.bin".utf8))),is_confidential,x AA=="
        let response = await fixture.create(["Upload-Length": "5", "Upload-Metadata": metadata])
        #expect(response.status == .created)
        let path = try #require(response.headers["Location"])
        #expect(path.hasPrefix("/api/files/uploads/") && FileRecord.isID(String(path.dropFirst(19))))
        #expect(response.headers["Upload-Offset"] == nil)
        let expires = manual.now.advanced(byMilliseconds: 86_400_000)
        #expect(response.headers["Upload-Expires"] == HTTPDate.text(expires))
        let head = await fixture.tus(.head, path)
        #expect(head.status == .ok)
        #expect(head.headers["Upload-Length"] == "5" && head.headers["Cache-Control"] == "no-store")
        #expect(head.headers["Upload-Metadata"] == metadata)
        // Nor is it kept that there is none.
        let missing = await fixture.tus(.head, path, as: FilesFixture.otherCustomer)
        #expect(missing.status == 404 && missing.headers["Cache-Control"] == "no-store")
        for target in [FilesFixture.uploadsPath, path] {
            let options = await fixture.send(.options, target, as: nil)
            #expect(options.status == .noContent)
            #expect(options.headers["Tus-Version"] == "1.0.0" && options.headers["Tus-Resumable"] == "1.0.0")
            #expect(
                options.headers["Tus-Extension"]
                    == "creation,creation-with-upload,checksum,expiration,termination"
            )
            #expect(options.headers["Tus-Max-Size"] == String(64 << 20))
            #expect(options.headers["Tus-Checksum-Algorithm"] == "sha1,sha256")
        }
    }

    @Test(
        "creation refuses what it cannot take, and leaves nothing",
        arguments: [
            ([:], 400), (["Upload-Length": "-1"], 400), (["Upload-Length": "+5"], 400), (["Upload-Length": ""], 400),
            (["Upload-Length": "99999999999999999999"], 400), (["Upload-Defer-Length": "1"], 400),
            (["Upload-Length": "5", "Upload-Concat": "partial"], 400),
            (["Upload-Length": "67108865"], 413), (["Upload-Length": "5", "Upload-Metadata": "filename"], 400),
            (["Upload-Length": "5", "Upload-Metadata": "filename YS9i"], 400),
            (["Upload-Length": "5", "Content-Type": "application/offset+octet-stream", "Upload-Checksum": "x"], 400),
        ] as [([String: String], Int)]
    )
    func refusedCreation(_ fields: [String: String], _ status: Int) async throws {
        let fixture = try await FilesFixture()
        var headers = Headers()
        for (name, value) in fields { headers[name] = value }
        let response = await fixture.create(headers)
        #expect(response.status.code == status)
        #expect(response.headers["Tus-Resumable"] == "1.0.0")
        #expect(try await fixture.uploads.index.openUploads().isEmpty && fixture.partialFilesOnDisk().isEmpty)
    }

    @Test("the protocol's version is asked for, and named where it is missing")
    func version() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(5)
        for (method, target) in [
            (.post, FilesFixture.uploadsPath), (.head, path), (.patch, path), (.delete, path), (.post, path),
        ] as [(HTTP.Method, String)] {
            for headers in [[:], ["Tus-Resumable": "0.2.2"]] as [Headers] {
                let response = await fixture.send(method, target, headers: headers)
                #expect(response.status == 412)
                #expect(response.headers["Tus-Version"] == "1.0.0" && response.headers["Tus-Resumable"] == "1.0.0")
            }
            #expect(await fixture.tus(method, target, as: nil).status == 401)
        }
        #expect(await fixture.send(.get, path).status == 405)
    }

    @Test("a part is refused with the status that names the reason, and the offset stays")
    func refusedParts() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(10)
        #expect(await fixture.patch(path, at: 0, noise(4)).status == .noContent)
        let part: Headers = ["Content-Type": "application/offset+octet-stream", "Upload-Offset": "4"]
        func answer(_ name: String, _ value: String?, _ count: Int = 1) async -> Int {
            var headers = part
            headers[name] = value
            return await fixture.tus(.patch, path, headers, body: RequestBody(noise(count))).status.code
        }
        #expect(await answer("Content-Type", nil) == 415)
        #expect(await answer("Content-Type", "application/octet-stream") == 415)
        for offset in [nil, "", "x", "-1", "4 "] { #expect(await answer("Upload-Offset", offset) == 400) }
        for offset in ["0", "3", "5", "11"] { #expect(await answer("Upload-Offset", offset) == 409) }
        #expect(await answer("X", nil, 7) == 413)
        for bad in ["sha256", "md5 AAAA", "sha1 AAAA", "sha1  ", "sha1 !"] {
            #expect(await answer("Upload-Checksum", bad) == 400, "\(bad)")
        }
        let mismatch = await fixture.patch(path, at: 3, noise(1))
        #expect(mismatch.headers["Upload-Offset"] == "4")
        #expect(try await fixture.problemCode(mismatch) == "offset_mismatch")
        #expect(await fixture.offset(path) == "4")
        #expect(await fixture.patch(path, at: 4, noise(6)).status == .noContent)
        // Complete: it says so, and takes no more.
        #expect(await fixture.offset(path) == "10")
        #expect(await fixture.patch(path, at: 10, []).status == .noContent)
        #expect(await fixture.patch(path, at: 10, [1]).status == 413)
        #expect(await fixture.patch(path, at: 4, [1]).status == 409)
    }

    @Test("a body that turns out too long counts up to the piece that goes too far")
    func pastTheEnd() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(10)
        let body = ScriptedBody([.success(noise(6)), .success(noise(6))])
        #expect(await fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil)).status == 413)
        #expect(await fixture.offset(path) == "6")
    }

    @Test("an upload is its uploader's alone")
    func foreign() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(10)
        for caller in [FilesFixture.otherCustomer, FilesFixture.agent, FilesFixture.admin] {
            #expect(await fixture.tus(.head, path, as: caller).status == 404)
            #expect(await fixture.patch(path, at: 0, RequestBody(noise(1)), as: caller).status == 404)
            #expect(await fixture.tus(.delete, path, as: caller).status == 404)
        }
        for id in ["x", FileRecord.makeID(), "%2e%2e%2fblobs"] {
            #expect(await fixture.tus(.head, "/api/files/uploads/\(id)").status == 404)
        }
        #expect(await fixture.offset(path) == "0")
    }

    @Test("a checksum is held against the part; one that fails leaves no byte", arguments: ["sha1", "sha256"])
    func checksums(_ algorithm: String) async throws {
        let fixture = try await FilesFixture()
        let bytes = noise(300_000)
        let path = try await fixture.begun(bytes.count)
        func send(_ range: Range<Int>, _ text: String) async -> Response {
            await fixture.patch(path, at: range.lowerBound, RequestBody(Array(bytes[range])), checksum: text)
        }
        #expect(await send(0..<100_000, checksum(algorithm, Array(bytes[0..<100_000]))).status == .noContent)
        let bad = await send(100_000..<300_000, checksum(algorithm, Array(bytes[100_000..<299_999])))
        #expect(bad.status == 460)
        #expect(try await fixture.problemCode(bad) == "checksum_mismatch")
        #expect(await fixture.offset(path) == "100000")
        // Broken off, it cannot be checked, so none of it counts.
        let body = ScriptedBody([.success(Array(bytes[100_000..<250_000])), .failure(.badRequest("gone"))])
        let cut = await fixture.patch(
            path,
            at: 100_000,
            RequestBody(body, announcedLength: nil),
            checksum: checksum(algorithm, bytes)
        )
        #expect(cut.status == 400)
        #expect(await fixture.offset(path) == "100000")
        #expect(await send(100_000..<300_000, checksum(algorithm, Array(bytes[100_000...]))).status == .noContent)
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("creation may bring the first bytes, or all; if they fail there is no upload")
    func creationWithUpload() async throws {
        let fixture = try await FilesFixture()
        func bring(_ length: Int, _ body: [UInt8], _ more: (String, String)? = nil) async -> Response {
            var headers: Headers = [
                "Upload-Length": String(length), "Content-Type": "application/offset+octet-stream",
            ]
            if let more { headers[more.0] = more.1 }
            return await fixture.create(headers, body: RequestBody(body))
        }
        let part = await bring(jpeg.count, Array(jpeg.prefix(100)))
        #expect(part.status == .created && part.headers["Upload-Offset"] == "100")
        #expect(await fixture.offset(try #require(part.headers["Location"])) == "100")
        let whole = await bring(jpeg.count, jpeg, ("Upload-Checksum", checksum("sha256", jpeg)))
        #expect(whole.status == .created && whole.headers["Upload-Offset"] == String(jpeg.count))
        let document = try await fixture.document(try await fixture.file(try #require(whole.headers["Location"])))
        #expect(document.sha256 == Hex.encode(SHA256.hash(jpeg)) && document.fileName == TusMetadata.fileNameDefault)
        #expect(await bring(10, noise(11)).status == 413)
        #expect(await bring(10, noise(5), ("Upload-Checksum", checksum("sha1", noise(4)))).status == 460)
        #expect(await bring(10, noise(5), ("Content-Type", "image/jpeg")).status == 415)
        #expect(try fixture.partialFilesOnDisk().count == 1)
        #expect(try await fixture.uploads.index.openUploads().count == 1)
    }

    @Test("an upload of no bytes is complete when it is made")
    func empty() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(0, name: "empty.txt")
        #expect(await fixture.offset(path) == "0")
        let document = try await fixture.document(try await fixture.file(path))
        #expect(document.size == 0 && document.sha256 == Hex.encode(SHA256.hash("")))
        #expect(try await fixture.bytes(of: await fixture.send(.get, document.url)).isEmpty)
    }

    @Test("termination removes the bytes, and the file that the upload has become")
    func termination() async throws {
        let fixture = try await FilesFixture()
        let partial = try await fixture.begun(10)
        #expect(await fixture.patch(partial, at: 0, noise(4)).status == .noContent)
        let whole = try await fixture.begun(4)
        #expect(await fixture.patch(whole, at: 0, noise(4)).status == .noContent)
        let deleted = try await fixture.begun(4)
        #expect(await fixture.patch(deleted, at: 0, noise(4)).status == .noContent)
        for path in [partial, whole] {
            let response = await fixture.tus(.delete, path)
            #expect(response.status == .noContent && response.headers["Tus-Resumable"] == "1.0.0")
            #expect(await fixture.tus(.head, path).status == 404)
            #expect(await fixture.tus(.delete, path).status == 404)
            #expect(try await fixture.file(path).status == 404)
        }
        let id = deleted.split(separator: "/").last ?? ""
        #expect(await fixture.send(.delete, "/api/files/\(id)").status == .noContent)
        #expect(await fixture.tus(.head, deleted).status == 404)
        #expect(try fixture.partialFilesOnDisk().isEmpty && fixture.filesOnDisk().blobs.isEmpty)
    }

    @Test("POST stands in for PATCH and DELETE")
    func override() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(4)
        let patched = await fixture.tus(
            .post,
            path,
            [
                "X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            ],
            body: RequestBody(noise(2))
        )
        #expect(patched.status == .noContent && patched.headers["Upload-Offset"] == "2")
        for other in ["GET", "patch", ""] {
            let response = await fixture.tus(.post, path, ["X-HTTP-Method-Override": other])
            #expect(response.status == 405 && response.headers["Allow"] == "DELETE, HEAD, OPTIONS, PATCH")
        }
        #expect(await fixture.tus(.post, path).status == 405)
        #expect(await fixture.tus(.post, path, ["X-HTTP-Method-Override": "DELETE"]).status == .noContent)
        #expect(await fixture.tus(.head, path).status == 404)
    }

    @Test("a user has so many unfinished uploads and no more; others are not concerned")
    func unfinishedMax() async throws {
        let manual = ManualClock()
        let fixture = try await FilesFixture(fileBytesMax: 100, clock: manual.clock) {
            $0.tusUploadsPerUserMax = 2
            $0.uploadExpiry = .seconds(60)
        }
        let first = try await fixture.begun(4)
        _ = try await fixture.begun(4)
        let refused = await fixture.create(["Upload-Length": "4"])
        #expect(refused.status == 429)
        #expect(try await fixture.problemCode(refused) == "too_many_requests")
        _ = try await fixture.begun(4, as: FilesFixture.otherCustomer)
        #expect(await fixture.patch(first, at: 0, noise(4)).status == .noContent)
        _ = try await fixture.begun(4)
        #expect(await fixture.create(["Upload-Length": "4"]).status == 429)
        manual.advance(61_000)
        _ = try await fixture.begun(4)
    }

    @Test("an upload has its room in the quota from its beginning, and gives it back when it ends without a file")
    func quota() async throws {
        let fixture = try await FilesFixture {
            $0.userBytesMax = 100
            $0.userFilesMax = 3
        }
        _ = try await fixture.stored(noise(40))
        let path = try await fixture.begun(50)
        let refused = await fixture.create(["Upload-Length": "11"])
        #expect(refused.status == 413)
        #expect(try await fixture.problemCode(refused) == "quota_exceeded")
        #expect(await fixture.upload(noise(11)).status == 413)
        #expect(await fixture.patch(path, at: 0, noise(50)).status == .noContent)
        #expect(await fixture.create(["Upload-Length": "11"]).status == 413)
        let last = try await fixture.begun(10)
        #expect(await fixture.create(["Upload-Length": "0"]).status == 413)
        _ = try await fixture.begun(100, as: FilesFixture.otherCustomer)
        #expect(await fixture.tus(.delete, last).status == .noContent)
        #expect(await fixture.upload(noise(10)).status == .created)
    }

    @Test("a file that its type may not be ends with its last byte; nothing is left")
    func refusedInTheEnd() async throws {
        let fixture = try await FilesFixture { $0.imageBytesMax = jpeg.count - 1 }
        for checksum in [nil, checksum("sha256", Array(jpeg[1000...]))] {
            let path = try await fixture.begun(jpeg.count)
            #expect(await fixture.patch(path, at: 0, jpeg[..<1000]).status == .noContent)
            let refused = await fixture.patch(path, at: 1000, RequestBody(Array(jpeg[1000...])), checksum: checksum)
            #expect(refused.status == 413)
            #expect(try await fixture.problemCode(refused) == "too_large")
            try await expectGone(path, fixture)
        }
    }

    @Test("a file for which there is no room since the limits were lowered ends with its last byte")
    func limitsLowered() async throws {
        let directory = try TemporaryDirectory()
        var path = ""
        do {
            let fixture = try await FilesFixture(in: directory)
            path = try await fixture.begun(3000)
            await fixture.database.close()
        }
        let fixture = try await FilesFixture(in: directory) { $0.userBytesMax = 2999 }
        let refused = await fixture.patch(path, at: 0, noise(3000))
        #expect(refused.status == 413)
        #expect(try await fixture.problemCode(refused) == "quota_exceeded")
        try await expectGone(path, fixture)
    }

    private func expectGone(_ path: String, _ fixture: FilesFixture) async throws {
        #expect(await fixture.tus(.head, path).status == 404)
        #expect(try await fixture.file(path).status == 404)
        #expect(try fixture.partialFilesOnDisk().isEmpty)
        let (blobs, temporary) = try fixture.filesOnDisk()
        #expect(blobs.isEmpty && temporary.isEmpty)
    }

    @Test("what the disk has no room for is 507, and nothing is left")
    func noRoom() async throws {
        let fixture = try await FilesFixture(fileBytesMax: .max) {
            $0.tusUploadsPerUserMax = 2
            $0.uploadExpiry = .seconds(60)
        }
        let response = await fixture.create(["Upload-Length": String(Int.max)])
        #expect(response.status == 507)
        #expect(try await fixture.problemCode(response) == "storage_full")
        #expect(try fixture.partialFilesOnDisk().isEmpty)
    }
}

import Contracts
import Core
import Crypto
import HTTP
import Testing

@testable import FilesService

@Suite("POST /api/files/upload")
struct UploadRoutesTests {
    @Test("answers 201 with the file's document")
    func created() async throws {
        let fixture = try await FilesFixture()
        let response = await fixture.upload(jpeg, name: "图片.jpg")
        let document = try await fixture.document(response)
        #expect(response.status == .created)
        #expect(response.headers["Location"] == document.url)
        #expect(FileRecord.isID(document.fileID))
        #expect(document.url == "/files/\(document.fileID)")
        #expect(document.fileType == .image)
        #expect(document.fileName == "图片.jpg")
        #expect(document.contentType == "image/jpeg")
        #expect(document.size == jpeg.count)
        #expect(document.sha256 == Hex.encode(SHA256.hash(jpeg)))
    }

    @Test("stores the same content once, under two ids")
    func deduplicated() async throws {
        let fixture = try await FilesFixture()
        let first = try await fixture.stored(jpeg)
        let second = try await fixture.stored(jpeg, as: FilesFixture.otherCustomer)
        #expect(first.fileID != second.fileID)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs == [first.sha256])
        #expect(disk.temporary.isEmpty)
    }

    @Test(
        "refuses a bad request with the problem that names it, and leaves nothing on the disk",
        arguments: [
            (#"{"file_name":"a""#, 400, "malformed_json"),
            (#"{"file_name":"a","file_type":"","file_data":"QUJ"}"#, 422, "invalid_base64"),
            (#"{"file_name":"a","file_type":"","file_data":"QUJD!"}"#, 422, "invalid_base64"),
            (#"{"file_name":"a","file_type":""}"#, 422, "invalid_field"),
            (#"{"file_type":"","file_data":"QUJD","file_name":"a/b"}"#, 422, "invalid_field"),
            (#"{"file_name":"a","file_type":"","file_data":""}"#, 422, "invalid_field"),
            (#"[]"#, 422, "invalid_field"),
        ]
    )
    func refused(_ text: String, _ status: Int, _ code: String) async throws {
        let fixture = try await FilesFixture()
        let response = await fixture.send(
            .post,
            "/api/files/upload",
            headers: ["Content-Type": "application/json; charset=utf-8"],
            body: RequestBody(Array(text.utf8))
        )
        #expect(response.status.code == status)
        #expect(response.headers["Content-Type"] == "application/problem+json")
        #expect(try await fixture.problemCode(response) == code)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
    }

    @Test("takes a file of exactly the limit and refuses one byte more")
    func limit() async throws {
        let fixture = try await FilesFixture(base64BytesMax: 300_000)
        let bytes = (0..<300_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(await fixture.upload(Array(bytes.dropLast())).status == .created)
        let response = await fixture.upload(bytes)
        #expect(response.status == 413)
        #expect(try await fixture.problemCode(response) == "too_large")
        #expect(try fixture.filesOnDisk().temporary.isEmpty)
    }

    @Test("refuses a body announced too large before it reads any of it")
    func announced() async throws {
        let fixture = try await FilesFixture(base64BytesMax: 1000)
        let body = ScriptedBody([.failure(Problem.badRequest("the body was read"))])
        let response = await fixture.send(
            .post,
            "/api/files/upload",
            headers: ["Content-Type": "application/json"],
            body: RequestBody(body, announcedLength: 1 << 30)
        )
        #expect(response.status == 413)
    }

    @Test("refuses without a session, and any body that is neither JSON nor a form")
    func headers() async throws {
        let fixture = try await FilesFixture()
        #expect(await fixture.upload(jpeg, as: nil).status == 401)
        for type in ["multipart/mixed; boundary=x", "text/plain", "", "application/jsonx"] {
            let response = await fixture.send(.post, "/api/files/upload", headers: ["Content-Type": type])
            #expect(response.status == 415)
        }
        #expect(await fixture.send(.post, "/api/files/upload").status == 415)
        #expect(await fixture.send(.put, "/api/files/upload").status == 405)
    }

    @Test("removes what it wrote when the client goes away")
    func disconnect() async throws {
        let fixture = try await FilesFixture()
        let head = Array(#"{"file_name":"a","file_type":"","file_data":""#.utf8)
        let body = ScriptedBody([
            .success(head + [UInt8](repeating: UInt8(ascii: "A"), count: 200_000)),
            .failure(Problem(408, .requestTimeout, "the body stalled")),
        ])
        let response = await fixture.send(
            .post,
            "/api/files/upload",
            headers: ["Content-Type": "application/json"],
            body: RequestBody(body, announcedLength: nil)
        )
        #expect(response.status == 408)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
    }

    @Test("streams: what arrived is on the disk before the rest is sent")
    func streams() async throws {
        let fixture = try await FilesFixture()
        let body = HeldBody()
        async let response = fixture.send(
            .post,
            "/api/files/upload",
            headers: ["Content-Type": "application/json"],
            body: RequestBody(body, announcedLength: nil)
        )
        body.continuation.yield(Array(#"{"file_name":"a","file_type":"","file_data":""#.utf8))
        body.continuation.yield([UInt8](repeating: UInt8(ascii: "A"), count: 100_000))
        var asked = 0
        for await _ in body.started {
            asked += 1
            if asked == 3 { break }
        }
        #expect(try fixture.filesOnDisk().temporary.count == 1)
        body.continuation.yield(Array(#""}"#.utf8))
        body.continuation.finish()
        #expect(await response.status == .created)
    }

    @Test("limits the uploads that a user, and everybody, has in progress")
    func slots() async throws {
        let fixture = try await FilesFixture(perUserMax: 1, totalMax: 2)
        let bodies = [HeldBody(), HeldBody()]
        @Sendable func upload(_ body: HeldBody, as caller: Caller) async -> Response {
            await fixture.send(
                .post,
                "/api/files/upload",
                as: caller,
                headers: ["Content-Type": "application/json"],
                body: RequestBody(body, announcedLength: nil)
            )
        }
        async let first = upload(bodies[0], as: FilesFixture.customer)
        async let second = upload(bodies[1], as: FilesFixture.otherCustomer)
        for body in bodies { for await _ in body.started { break } }
        let again = await fixture.upload(jpeg)
        #expect(again.status == 429)
        #expect(again.headers["Retry-After"] == "1")
        #expect(await fixture.upload(jpeg, as: FilesFixture.agent).status == 429)
        for body in bodies { body.continuation.finish() }
        #expect(await first.status == 400)
        #expect(await second.status == 400)
        #expect(await fixture.upload(jpeg).status == .created)
    }

    @Test("limits the uploads from one network, whoever its users are, in whatever way they upload")
    func networkSlots() async throws {
        let fixture = try await FilesFixture(perNetworkMax: 1)
        let held = HeldBody()
        @Sendable func upload(_ body: RequestBody, as caller: Caller, from address: String) async -> Response {
            let type: Headers = ["Content-Type": "application/json"]
            return await fixture.send(
                .post,
                "/api/files/upload",
                as: caller,
                headers: type,
                body: body,
                from: address
            )
        }
        func small() -> RequestBody {
            RequestBody(Array(#"{"file_name":"a","file_type":"text/plain","file_data":"aGVsbG8K"}"#.utf8))
        }
        let path = try await fixture.begun(5)
        let part: Headers = [
            "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0",
        ]
        async let first = upload(RequestBody(held, announcedLength: nil), as: FilesFixture.agent, from: "2001:db8::1")
        for await _ in held.started { break }
        let refused = await upload(small(), as: FilesFixture.customer, from: "2001:db8::2")
        #expect(refused.status == 429 && refused.headers["Retry-After"] == "1")
        for (address, status) in [("2001:db8::3", 429), ("2001:db8:0:1::3", 204)] {
            let body = RequestBody(Array("hello".utf8))
            #expect(await fixture.send(.patch, path, headers: part, body: body, from: address).status.code == status)
        }
        #expect(await upload(small(), as: FilesFixture.customer, from: "192.0.2.2").status == .created)
        held.continuation.finish()
        #expect(await first.status == 400)
        #expect(await upload(small(), as: FilesFixture.customer, from: "2001:db8::2").status == .created)
    }

    @Test("uploads and deletions of the same content at once leave the blob as long as a record", arguments: [0, 1])
    func concurrent(_ keptCount: Int) async throws {
        let fixture = try await FilesFixture(perUserMax: 100, totalMax: 100)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let document = try await fixture.stored(jpeg)
                    guard number >= keptCount else { return }
                    #expect(await fixture.send(.delete, "/api/files/\(document.fileID)").status == .noContent)
                }
            }
            try await group.waitForAll()
        }
        #expect(try fixture.filesOnDisk().blobs.count == keptCount)
    }
}

import Contracts
import Core
import Crypto
import HTTP
import TestSupport
import Testing

@testable import FilesService

/// A part of a form as the tests write it.
private struct Part {
    var head: String
    var body: [UInt8]

    static func file(
        _ bytes: [UInt8],
        name: String? = "image.jpg",
        type: String? = "image/jpeg",
        field: String = "file"
    ) -> Part {
        let fileName = name.map { "; filename=\"\($0)\"" } ?? ""
        let type = type.map { "\r\nContent-Type: \($0)" } ?? ""
        return Part(head: "Content-Disposition: form-data; name=\"\(field)\"\(fileName)\(type)", body: bytes)
    }

    static func field(_ name: String, _ value: String) -> Part {
        Part(head: "Content-Disposition: form-data; name=\"\(name)\"", body: Array(value.utf8))
    }
}

private func form(_ parts: [Part]) -> [UInt8] {
    parts.flatMap { Array("--b\r\n\($0.head)\r\n\r\n".utf8) + $0.body + Array("\r\n".utf8) } + Array("--b--\r\n".utf8)
}

@Suite("POST /api/files/upload as a form")
struct UploadFormTests {
    private func send(
        _ fixture: FilesFixture,
        _ body: RequestBody,
        type: String = "multipart/form-data; boundary=b",
        as caller: Caller = FilesFixture.customer
    ) async -> Response {
        await fixture.send(.post, "/api/files/upload", as: caller, headers: ["Content-Type": type], body: body)
    }

    private func send(_ fixture: FilesFixture, _ parts: [Part]) async -> Response {
        await send(fixture, RequestBody(form(parts)))
    }

    private func expectNothingOnDisk(_ fixture: FilesFixture) throws {
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
    }

    @Test("gives the same document as base64, and the same blob")
    func sameAsBase64() async throws {
        let fixture = try await FilesFixture()
        let response = await send(fixture, [.file(jpeg)])
        #expect(response.status == .created)
        var byForm = try await fixture.document(response)
        #expect(response.headers["Location"] == byForm.url)
        let byBase64 = try await fixture.stored(jpeg)
        #expect(byForm.fileID != byBase64.fileID)
        (byForm.fileID, byForm.url) = (byBase64.fileID, byBase64.url)
        #expect(byForm == byBase64)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs == [byBase64.sha256] && disk.temporary.isEmpty)
    }

    @Test("fields win over what the part says, before it and behind it; others are skipped")
    func fields() async throws {
        let fixture = try await FilesFixture()
        let text = Array("a,b\n1,2\n".utf8)
        let name = Part.field("file_name", "数据.csv"), type = Part.field("file_type", "text/csv")
        let other = Part.field("comment", String(repeating: "x", count: 60_000))
        for parts in [[name, type, other, .file(text)], [.file(text), other, type, name]] {
            let document = try await fixture.document(await send(fixture, parts))
            #expect(document.fileName == "数据.csv" && document.contentType == "text/csv")
        }
        let byPart = try await fixture.document(await send(fixture, [.file(text, name: "a.csv", type: "text/csv")]))
        #expect(byPart.fileName == "a.csv" && byPart.contentType == "text/csv")
        let unnamed = try await fixture.document(await send(fixture, [name, .file(text, name: nil, type: nil)]))
        #expect(unnamed.fileName == "数据.csv" && unnamed.contentType == "text/plain")
    }

    @Test(
        "takes the filename as browsers write it",
        arguments: [
            ("图片.jpg", "图片.jpg"), ("a%22b.jpg", "a\"b.jpg"), ("100%25.jpg", "100%25.jpg"), (#"a\"b.jpg"#, "a\"b.jpg"),
            ("a; b.jpg", "a; b.jpg"), ("ü.jpg\"; filename*=\"UTF-8''x.jpg", "ü.jpg"),
        ]
    )
    func fileNames(_ sent: String, _ stored: String) async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.document(await send(fixture, [.file(jpeg, name: sent)]))
        #expect(document.fileName == stored)
    }

    @Test("refuses what is no upload with the problem that names it, and leaves nothing on the disk")
    func refused() async throws {
        let fixture = try await FilesFixture()
        let file = Part.file(jpeg)
        let cases: [([Part], Int, String, String)] = [
            ([], 422, "invalid_field", "file: is required"),
            ([.field("file_name", "a")], 422, "invalid_field", "file: is required"),
            ([file, file], 422, "invalid_field", "file: is given twice"),
            ([file, .file(jpeg, field: "other")], 422, "invalid_field", "file: must be the only file"),
            (
                [.field("file_name", "a"), .field("file_name", "a"), file], 422, "invalid_field",
                "file_name: is given twice"
            ),
            ([.file(jpeg, name: nil)], 422, "invalid_field", "file_name: is required"),
            ([.file(jpeg, name: "")], 422, "invalid_field", "file_name: 1 to 255"),
            (
                [.file(jpeg, name: "x\"; filename*=\"y", type: nil), .field("file_name", "a/b")], 422, "invalid_field",
                "'/'"
            ),
            ([.file(jpeg, name: "../../etc/passwd")], 422, "invalid_field", "file_name: must not have '/'"),
            ([.file(jpeg, name: #"C:\x.jpg"#)], 422, "invalid_field", "file_name: must not have '/'"),
            ([.file([])], 422, "invalid_field", "file: must not be empty"),
            (
                [.field("file_type", String(repeating: "x", count: 256)), file], 422, "invalid_field",
                "file_type: at most"
            ),
            ([file, .field("x", String(repeating: "x", count: 65_537))], 413, "too_large", "65536"),
            ([Part(head: "Content-Type: text/plain", body: jpeg)], 400, "malformed_multipart", "Content-Disposition"),
            ([Part(head: "Content-Disposition: form-data", body: jpeg)], 400, "malformed_multipart", "name"),
            (
                [Part(head: "Content-Disposition: attachment; name=file", body: jpeg)], 400, "malformed_multipart",
                "name"
            ),
            (
                [Part(head: file.head + "\r\nContent-Transfer-Encoding: base64", body: jpeg)], 400,
                "malformed_multipart", ""
            ),
            ([Part(head: file.head + "\r\n folded", body: jpeg)], 400, "malformed_multipart", "head"),
            ([Part](repeating: .field("x", "y"), count: 20) + [file], 413, "too_large", "20 parts"),
        ]
        for (parts, status, code, detail) in cases {
            let response = await send(fixture, parts)
            let problem = String(decoding: try await fixture.bytes(of: response), as: UTF8.self)
            #expect(response.status.code == status, "\(problem)")
            #expect(problem.contains("\"\(code)\"") && problem.contains(detail), "\(problem): \(detail)")
        }
        try expectNothingOnDisk(fixture)
    }

    @Test(
        "refuses a Content-Type without a usable boundary",
        arguments: ["", "; boundary=", "; boundary=\"ä\"", "; x=y"]
    )
    func noBoundary(_ parameters: String) async throws {
        let fixture = try await FilesFixture()
        let response = await send(fixture, RequestBody(form([.file(jpeg)])), type: "multipart/form-data" + parameters)
        #expect(response.status == 400)
        #expect(try await fixture.problemCode(response) == "malformed_multipart")
    }

    @Test("takes a file of exactly the limit and refuses one byte more, announced or not")
    func limit() async throws {
        let fixture = try await FilesFixture(fileBytesMax: 200_000)
        let bytes = (0..<200_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(await send(fixture, [.file(Array(bytes.dropLast()))]).status == .created)
        let blobs = try fixture.filesOnDisk().blobs
        for announcedLength in [nil, bytes.count] {
            let body = ScriptedBody([.success(form([.file(bytes)]))])
            let response = await send(fixture, RequestBody(body, announcedLength: announcedLength))
            #expect(response.status == 413)
            #expect(try await fixture.problemCode(response) == "too_large")
        }
        let unread = ScriptedBody([.failure(Problem.badRequest("the body was read"))])
        #expect(await send(fixture, RequestBody(unread, announcedLength: 1 << 20)).status == 413)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs == blobs && disk.temporary.isEmpty)
    }

    @Test("stores the same bytes however the body is split")
    func splits() throws {
        let content = Array("--\r\n-b\r\r\n--\r\n".utf8) + [0, 255, 13]
        let body = form([.field("file_name", "n"), .file(content), .field("x", "y")])
        for split in 0...body.count {
            var decoder = try UploadFormDecoder(contentType: "multipart/form-data; boundary=\"b\"", fileBytesMax: 100)
            var stored: [UInt8] = []
            for piece in [body[..<split], body[split...]] {
                var output: [UInt8] = []
                try decoder.feed(Array(piece), into: &output)
                stored += output
            }
            #expect(try decoder.finish() == UploadDocument(fileName: "n", declaredType: "image/jpeg"))
            #expect(stored == content, "split at \(split)")
        }
    }

    @Test("refuses a body that ends early at whatever byte, and leaves nothing on the disk")
    func truncated() async throws {
        let fixture = try await FilesFixture()
        let body = form([.file(Array("hello".utf8))])
        // The last line's end may be missing.
        for length in 0..<(body.count - 2) {
            let response = await send(fixture, RequestBody(Array(body.prefix(length))))
            #expect(response.status == 400, "\(length) bytes")
        }
        try expectNothingOnDisk(fixture)
        #expect(await send(fixture, RequestBody(Array(body.dropLast(2)))).status == .created)
    }

    @Test("removes what it wrote when the client goes away, and is on the disk before the rest is sent")
    func disconnect() async throws {
        let fixture = try await FilesFixture()
        let held = HeldBody()
        async let first = send(fixture, RequestBody(held, announcedLength: nil))
        let whole = form([.file([UInt8](repeating: 7, count: 200_000))])
        held.continuation.yield(Array(whole.prefix(100_000)))
        var asked = 0
        for await _ in held.started {
            asked += 1
            if asked == 2 { break }
        }
        #expect(try fixture.filesOnDisk().temporary.count == 1)
        held.continuation.yield(Array(whole.dropFirst(100_000)))
        held.continuation.finish()
        #expect(await first.status == .created)
        let blobs = try fixture.filesOnDisk().blobs
        let broken = ScriptedBody([
            .success(Array(whole.prefix(150_000))), .failure(Problem(408, .requestTimeout, "the body stalled")),
        ])
        #expect(await send(fixture, RequestBody(broken, announcedLength: nil)).status == 408)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs == blobs && disk.temporary.isEmpty)
    }
}

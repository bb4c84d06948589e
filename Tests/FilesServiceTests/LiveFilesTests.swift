import Contracts
import Core
import Foundation
import HTTP
import Net
import TestSupport
import Testing
import Transport

@testable import FilesService

/// The routes behind a real server, driven by `curl`.
@Suite("Files over HTTP, with curl")
struct LiveFilesTests {
    /// A server on a port of its own, and a directory for what `curl` reads and writes.
    private final class Live {
        let fixture: FilesFixture
        let server: HTTPServer
        let loops: EventLoopGroup
        let port: UInt16
        let directory: TemporaryDirectory

        init(base64BytesMax: Int = 4 << 20, bodyIdleTimeout: Duration = .seconds(60)) async throws {
            fixture = try await FilesFixture(base64BytesMax: base64BytesMax)
            directory = try TemporaryDirectory()
            loops = try EventLoopGroup(count: 1)
            let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
            let router = fixture.router
            var configuration = HTTPServerConfiguration(address: address)
            configuration.bodyIdleTimeout = bodyIdleTimeout
            server = HTTPServer(
                configuration: configuration,
                loops: loops,
                log: Log(service: "files", level: .error)
            ) { await router.respond(to: $0) }
            port = try server.start().port
        }

        func stop() async {
            await server.drain(grace: .seconds(2))
            loops.shutDown()
        }

        /// Runs `curl` against `path` as the customer.
        ///
        /// - Returns: The status, and where the body was written.
        func curl(_ path: String, _ arguments: [String] = []) async throws -> (status: Int, body: [UInt8]) {
            let output = directory.file("out-\(UUID().uuidString)")
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments =
                ["curl", "-sS", "--max-time", "60", "-o", output, "-w", "%{http_code}", "-H", "X-Session-Id: anna"]
                + arguments + ["http://127.0.0.1:\(port)\(path)"]
            let pipe = Pipe()
            process.standardOutput = pipe
            try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
                process.terminationHandler = { _ in ended.resume() }
                do { try process.run() } catch { ended.resume(throwing: error) }
            }
            let status = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            let body = FileManager.default.contents(atPath: output) ?? Data()
            return (try #require(Int(status)), Array(body))
        }

        func upload(_ bytes: [UInt8], name: String) async throws -> FileDocument {
            let path = directory.file("upload.json")
            let text = #"{"file_name":"\#(name)","file_type":"image/jpeg","file_data":"\#(base64(bytes))"}"#
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let answer = try await curl(
                "/api/files/upload",
                ["-H", "Content-Type: application/json", "--data-binary", "@\(path)"]
            )
            #expect(answer.status == 201)
            return try JSONDecoder().decode(FileDocument.self, from: Data(answer.body))
        }
    }

    private static let bytes = jpeg + (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 9) }

    @Test("what goes up comes down, whole, in part, and not at all when it is known")
    func roundTrip() async throws {
        let live = try await Live()
        let bytes = Self.bytes
        let document = try await live.upload(bytes, name: "photo.jpg")
        let whole = try await live.curl(document.url)
        #expect(whole.status == 200 && whole.body == bytes)
        let part = try await live.curl(document.url, ["-r", "65530-200000"])
        #expect(part.status == 206 && part.body == Array(bytes[65_530...200_000]))
        let tail = try await live.curl(document.url, ["-r", "-7"])
        #expect(tail.status == 206 && tail.body == Array(bytes.suffix(7)))
        let parts = try await live.curl(document.url, ["-r", "0-9,100-199"])
        #expect(parts.status == 206 && parts.body.count > 110)
        #expect(try await live.curl(document.url, ["-r", "9000000-"]).status == 416)
        let known = try await live.curl(document.url, ["-H", "If-None-Match: \"\(document.sha256)\""])
        #expect(known.status == 304 && known.body.isEmpty)
        let head = try await live.curl(document.url, ["-I"])
        let text = String(decoding: head.body, as: UTF8.self).lowercased()
        #expect(head.status == 200 && text.contains("content-length: \(bytes.count)\r\n"))
        await live.stop()
    }

    @Test("a refused upload gets its answer although the client is still sending")
    func refused() async throws {
        let live = try await Live(base64BytesMax: 100_000)
        let path = live.directory.file("large.json")
        let text = #"{"file_name":"a","file_type":"","file_data":""# + String(repeating: "A", count: 6_000_000) + "\"}"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        for expectation in ["Expect:", "Expect: 100-continue"] {
            for coding in ["X-Coding: length", "Transfer-Encoding: chunked"] {
                let answer = try await live.curl(
                    "/api/files/upload",
                    [
                        "-H", expectation, "-H", coding, "-H", "Content-Type: application/json", "--data-binary",
                        "@\(path)",
                    ]
                )
                #expect(answer.status == 413, "\(expectation) \(coding)")
            }
        }
        let disk = try live.fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
        await live.stop()
    }

    @Test("an upload that stalls is 408, and what is left of it is a part by tus alone")
    func stalled() async throws {
        let live = try await Live(bodyIdleTimeout: .milliseconds(300))
        let path = try await live.fixture.begun(300_000)
        let part = "Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"
        let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
        let requests = [
            ("POST /api/files/upload", "Content-Type: application/json\r\n", #"{"file_data":""#),
            ("POST /api/files/upload", "Content-Type: multipart/form-data; boundary=b\r\n", form),
            ("POST /api/files/uploads", part + "Upload-Length: 300000\r\n", ""),
            ("PATCH \(path)", part + "Upload-Offset: 0\r\n", ""),
        ]
        for (line, fields, start) in requests {
            let client = try await RawClient(port: live.port)
            try await client.send(
                "\(line) HTTP/1.1\r\nHost: h\r\nX-Session-Id: anna\r\n\(fields)Content-Length: 300000\r\n\r\n"
                    + start + String(repeating: "A", count: 200_000)
            )
            #expect(try await client.receiveResponse().head.status == 408, "\(line)")
            let isClean = try await eventually {
                let disk = try live.fixture.filesOnDisk()
                return disk.blobs.isEmpty && disk.temporary.isEmpty
            }
            #expect(isClean, "\(line)")
        }
        let uploads = try SystemCall.names(in: live.fixture.directory.file("store") + "/uploads")
        #expect(uploads == path.split(separator: "/").suffix(1).map(String.init))
        let head = await live.fixture.tus(.head, path)
        #expect((1...200_000).contains(head.headers["Upload-Offset"].flatMap { Int($0) } ?? 0))
        await live.stop()
    }

    @Test("descriptors are closed again, whatever the outcome of a download")
    func descriptors() async throws {
        let live = try await Live()
        let document = try await live.upload(Self.bytes, name: "photo.jpg")
        _ = try await live.curl(document.url)
        let root = live.fixture.directory.path
        for arguments in [
            ["-r", "0-9"], ["-r", "0-9,100-199"], ["-r", "9000000-"], ["-I"], ["-H", "If-Match: \"x\""],
        ] {
            _ = try await live.curl(document.url, arguments)
        }
        // A client that reads a little and goes away.
        _ = try? await live.curl(document.url, ["--limit-rate", "1000", "--max-time", "1"])
        await live.server.drain(grace: .zero)
        func openBlobs() throws -> [String] {
            try SystemCall.names(in: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }.filter { $0.hasPrefix(root) && $0.contains("/blobs/") }
        }
        #expect(try await eventually { try openBlobs().isEmpty })
        live.loops.shutDown()
    }
}

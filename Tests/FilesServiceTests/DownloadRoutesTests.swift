import Contracts
import Core
import HTTP
import Testing

@testable import FilesService

@Suite("GET and HEAD /files/{file_id}")
struct DownloadRoutesTests {
    @Test("gives back the very bytes, with headers that keep a browser from running them")
    func whole() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg, name: "图.jpg")
        let response = await fixture.send(.get, document.url)
        #expect(response.status == .ok)
        #expect(try await fixture.bytes(of: response) == jpeg)
        let expected: [(String, String)] = [
            ("Content-Type", "image/jpeg"), ("ETag", "\"\(document.sha256)\""), ("Accept-Ranges", "bytes"),
            ("Content-Disposition", "inline; filename=\"_.jpg\"; filename*=UTF-8''%E5%9B%BE.jpg"),
            ("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox; default-src 'none'"),
            ("Cache-Control", "private, no-cache"), ("Cross-Origin-Resource-Policy", "same-site"),
        ]
        for (name, value) in expected { #expect(response.headers[name] == value, "\(name)") }
    }

    @Test("offers for saving what a browser could run")
    func attachment() async throws {
        let fixture = try await FilesFixture()
        for text in ["<html><script>alert(1)</script>", "<svg onload='alert(1)'/>", "%PDF-1.7", "plain"] {
            let document = try await fixture.stored(Array(text.utf8), name: "image.png")
            #expect(document.fileType == .file)
            let response = await fixture.send(.get, document.url)
            #expect(response.headers["Content-Disposition"]?.hasPrefix("attachment;") == true)
            #expect(try await fixture.bytes(of: response) == Array(text.utf8))
        }
    }

    @Test(
        "sends one range as 206",
        arguments: [
            ("bytes=0-0", 0..<1), ("bytes=10-19", 10..<20), ("bytes=-5", 2005..<2010), ("bytes=2000-", 2000..<2010),
        ]
    )
    func range(_ field: String, _ expected: Range<Int>) async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let response = await fixture.send(.get, document.url, headers: ["Range": field])
        #expect(response.status == .partialContent)
        let text = "bytes \(expected.lowerBound)-\(expected.upperBound - 1)/\(jpeg.count)"
        #expect(response.headers["Content-Range"] == text)
        #expect(try await fixture.bytes(of: response) == Array(jpeg[expected]))
    }

    @Test("sends several ranges as multipart/byteranges, its length known beforehand")
    func ranges() async throws {
        let fixture = try await FilesFixture()
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        let document = try await fixture.stored(bytes, name: "a.bin")
        let response = await fixture.send(.get, document.url, headers: ["Range": "bytes=100000-299999,0-1"])
        #expect(response.status == .partialContent)
        let type = try #require(response.headers["Content-Type"])
        let boundary = try #require(type.split(separator: "boundary=").last)
        guard case .stream(let length, _) = response.body else {
            Issue.record("not a stream")
            return
        }
        let body = try await fixture.bytes(of: response)
        #expect(body.count == length)
        var expected = Array("\r\n--\(boundary)\r\nContent-Type: application/octet-stream\r\n".utf8)
        expected += Array("Content-Range: bytes 100000-299999/300000\r\n\r\n".utf8) + bytes[100_000...]
        expected += Array("\r\n--\(boundary)\r\nContent-Type: application/octet-stream\r\n".utf8)
        expected += Array("Content-Range: bytes 0-1/300000\r\n\r\n".utf8) + bytes[..<2]
        expected += Array("\r\n--\(boundary)--\r\n".utf8)
        #expect(body == expected)
    }

    @Test("answers 416 with the size when no byte of the range exists")
    func unsatisfiable() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let response = await fixture.send(.get, document.url, headers: ["Range": "bytes=5000-"])
        #expect(response.status == 416)
        #expect(response.headers["Content-Range"] == "bytes */\(jpeg.count)")
        #expect(try await fixture.problemCode(response) == "range_not_satisfiable")
    }

    @Test("sends the whole file for a range that it does not understand, or whose If-Range is of another version")
    func ignoredRange() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let other: [Headers] = [
            ["Range": "lines=1-2"], ["Range": "bytes=0-1", "If-Range": "\"x\""],
            ["Range": "bytes=0-1", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"],
        ]
        for headers in other {
            let response = await fixture.send(.get, document.url, headers: headers)
            #expect(response.status == .ok)
            #expect(try await fixture.bytes(of: response) == jpeg)
        }
        let headers: Headers = ["Range": "bytes=0-1", "If-Range": "\"\(document.sha256)\""]
        let response = await fixture.send(.get, document.url, headers: headers)
        #expect(response.status == .partialContent)
        _ = try await fixture.bytes(of: response)
    }

    @Test("answers If-None-Match with 304 and If-Match with 412")
    func conditions() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let same = await fixture.send(.get, document.url, headers: ["If-None-Match": "\"\(document.sha256)\""])
        #expect(same.status == .notModified)
        #expect(same.headers["ETag"] == "\"\(document.sha256)\"")
        #expect(try await fixture.bytes(of: same).isEmpty)
        #expect(await fixture.send(.get, document.url, headers: ["If-Match": "\"x\""]).status == 412)
    }

    @Test("HEAD has GET's headers and length, and no ranges")
    func head() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let response = await fixture.send(.head, document.url, headers: ["Range": "bytes=0-1"])
        #expect(response.status == .ok)
        #expect(response.headers["Content-Type"] == "image/jpeg")
        guard case .stream(let length, _) = response.body else {
            Issue.record("no length")
            return
        }
        #expect(length == jpeg.count)
    }
}

import Contracts
import Core
import Crypto
import Foundation
import HTTP
import TestSupport
import Testing

@testable import FilesService

@Suite("Signed URLs")
struct FileURLTests {
    private let clock = ManualClock()

    private struct Answer: Decodable {
        let url: String
        let expires_at: String
    }

    /// A file of the customer's, and a URL for it.
    private func signed(_ fixture: FilesFixture) async throws -> (document: FileDocument, url: String) {
        let document = try await fixture.stored(jpeg)
        let response = await fixture.send(.post, "/api/files/\(document.fileID)/url")
        #expect(response.status == .ok)
        #expect(response.headers["Cache-Control"] == "no-store")
        let answer = try JSONDecoder().decode(Answer.self, from: Data(try await fixture.bytes(of: response)))
        #expect(answer.expires_at == clock.now.advanced(byMilliseconds: 300_000).wire)
        return (document, answer.url)
    }

    @Test("reads the file without a session until it expires, with conditions and ranges as ever")
    func lifetime() async throws {
        let fixture = try await FilesFixture(clock: clock.clock)
        let (document, url) = try await signed(fixture)
        #expect(await fixture.send(.get, document.url, as: nil).status == 401)
        let whole = await fixture.send(.get, url, as: nil)
        #expect(whole.status == .ok)
        #expect(whole.headers["Cross-Origin-Resource-Policy"] == "cross-origin")
        #expect(whole.headers["X-Content-Type-Options"] == "nosniff")
        #expect(try await fixture.bytes(of: whole) == jpeg)
        #expect(await fixture.send(.head, url, as: nil).status == .ok)
        let part = await fixture.send(.get, url, as: nil, headers: ["Range": "bytes=0-2"])
        #expect(part.status == .partialContent)
        #expect(try await fixture.bytes(of: part) == Array(jpeg.prefix(3)))
        clock.advance(299_000)
        #expect(await fixture.send(.head, url, as: nil).status == .ok)
        clock.advance(1_000)
        #expect(await fixture.send(.head, url, as: nil).status == 403)
    }

    @Test("wrong and expired ones get the same answer, whether there is such a file or not, also with a session")
    func refused() async throws {
        let fixture = try await FilesFixture(clock: clock.clock)
        let (document, url) = try await signed(fixture)
        let other = try await fixture.stored(Array("another".utf8))
        let query = url.dropFirst(document.url.count)
        let expires = String(query.dropFirst("?expires=".count).prefix { $0 != "&" })
        let signature = String(query.split(separator: "signature=")[1])
        let last = signature.last == "A" ? "E" : "A"
        func file(_ query: String) -> String { "\(document.url)?\(query)" }
        let wrong = [
            other.url + query, "/files/\(FileRecord.makeID())\(query)", "/files/nothing\(query)",
            file("expires=\(expires)"), file("signature=\(signature)"), file("expires=&signature="),
            file("expires=\((Int(expires) ?? 0) + 1)&signature=\(signature)"),
            file("expires=0\(expires)&signature=\(signature)"), file("expires=%2B\(expires)&signature=\(signature)"),
            file("expires=\(expires)&signature=\(signature.dropLast())\(last)"),
            file("expires=\(expires)&signature=\(signature.dropLast())"),
            file("expires=\(expires)&signature=\(signature)="),
            file("expires=\(expires)&expires=\(expires)&signature=\(signature)"),
            file("expires=\(expires)&signature=\(signature)&signature=\(signature)"),
        ]
        var answers: Set<[UInt8]> = []
        for target in wrong {
            for caller in [nil, FilesFixture.customer] {
                let response = await fixture.send(.get, target, as: caller)
                #expect(response.status == 403, "\(target)")
                answers.insert(try await fixture.bytes(of: response))
            }
        }
        clock.advance(300_000)
        let expired = await fixture.send(.get, url, as: nil)
        answers.insert(try await fixture.bytes(of: expired))
        #expect(answers.count == 1)
    }

    @Test("whoever may not read the file gets none, and a deleted file is gone for all that were given")
    func access() async throws {
        let fixture = try await FilesFixture(clock: clock.clock)
        let (document, url) = try await signed(fixture)
        let path = "/api/files/\(document.fileID)/url"
        #expect(await fixture.send(.post, path, as: nil).status == 401)
        #expect(await fixture.send(.post, path, as: FilesFixture.otherCustomer).status == 404)
        #expect(await fixture.send(.post, path, as: FilesFixture.agent).status == .ok)
        #expect(await fixture.send(.post, "/api/files/nothing/url").status == 404)
        #expect(await fixture.send(.delete, "/api/files/\(document.fileID)").status == .noContent)
        #expect(await fixture.send(.get, url, as: nil).status == 404)
    }

    @Test("the key of a directory is made once, for the owner only, and mended when it is not whole")
    func key() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("url.key")
        let key = try SigningKey.load(path, in: directory.path)
        #expect(key.count == SigningKey.length)
        #expect(try SigningKey.load(path, in: directory.path) == key)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(truncate(path, 5) == 0)
        let fresh = try SigningKey.load(path, in: directory.path)
        #expect(fresh.count == SigningKey.length && fresh != key)
        #expect(try SigningKey.load(path, in: directory.path) == fresh)
        #expect(try SystemCall.names(in: directory.path) == ["url.key"])
    }

    @Test("a URL of one key is none of another's")
    func keys() {
        let now = Timestamp(milliseconds: 1_000_500)
        let signer = FileURLSigner(key: [UInt8](repeating: 1, count: 32), lifetimeSeconds: 60)
        let other = FileURLSigner(key: [UInt8](repeating: 2, count: 32), lifetimeSeconds: 60)
        let url = signer.sign("id", now: now)
        #expect(url.url.hasPrefix("/files/id?expires=1061&signature="))
        let signature = String(url.url.split(separator: "signature=")[1])
        #expect(signer.accepts("id", expires: "1061", signature: signature, now: now))
        #expect(!other.accepts("id", expires: "1061", signature: signature, now: now))
        #expect(!signer.accepts("id", expires: "1061", signature: signature, now: url.expiresAt))
    }
}

import Contracts
import Core
import HTTP
import Testing

@testable import FilesService

@Suite("Who may read, send and delete a file")
struct FileAccessTests {
    private func grant(
        _ fixture: FilesFixture,
        _ id: String,
        _ body: String,
        route: String = "grants"
    ) async -> Response {
        await fixture.send(
            .post,
            "/internal/files/\(id)/\(route)",
            as: nil,
            headers: ["Content-Type": "application/json"],
            body: RequestBody(Array(body.utf8))
        )
    }

    @Test("the uploader and any agent read it; to everybody else it does not exist")
    func reading() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        for target in [document.url, "/api/files/\(document.fileID)"] {
            let readers: [(Caller?, Status)] = [
                (FilesFixture.customer, .ok), (FilesFixture.agent, .ok), (FilesFixture.otherCustomer, 404), (nil, 401),
            ]
            for (caller, status) in readers {
                let response = await fixture.send(.get, target, as: caller)
                #expect(response.status == status)
                if status == 404 { #expect(try await fixture.problemCode(response) == "file_not_found") }
                if status == .ok { _ = try await fixture.bytes(of: response) }
            }
        }
    }

    @Test(
        "an id that was never given out, or is none, is 404",
        arguments: ["AAAAAAAAAAAAAAAAAAAAAA", "x", "..%2fx", "file123"]
    )
    func unknown(_ id: String) async throws {
        let fixture = try await FilesFixture()
        for target in ["/files/\(id)", "/api/files/\(id)"] {
            #expect(await fixture.send(.get, target, as: FilesFixture.agent).status == 404)
        }
        #expect(await fixture.send(.delete, "/api/files/\(id)", as: FilesFixture.admin).status == 404)
        #expect(await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"]}"#).status == 404)
    }

    @Test("whom it was sent to reads it, and may send it on, and not delete it")
    func granting() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let id = document.fileID
        #expect(await grant(fixture, id, #"{"sender":"ben","user_ids":["ben"]}"#).status == 404)
        #expect(await fixture.send(.get, document.url, as: FilesFixture.otherCustomer).status == 404)
        let granted = await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"]}"#)
        #expect(granted.status == .ok)
        #expect(try await fixture.document(granted) == document)
        #expect(await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"]}"#).status == .ok)
        let response = await fixture.send(.get, document.url, as: FilesFixture.otherCustomer)
        #expect(try await fixture.bytes(of: response) == jpeg)
        #expect(await grant(fixture, id, #"{"sender":"ben","user_ids":["carl"]}"#).status == .ok)
        let deletion = await fixture.send(.delete, "/api/files/\(id)", as: FilesFixture.otherCustomer)
        #expect(deletion.status == 403)
        #expect(try await fixture.problemCode(deletion) == "forbidden")
    }

    @Test("an agent sends any file on, when the gateway says that it is an agent")
    func agentGrants() async throws {
        let fixture = try await FilesFixture()
        let id = try await fixture.stored(jpeg).fileID
        #expect(await grant(fixture, id, #"{"sender":"support001","user_ids":["ben"]}"#).status == 404)
        let body = #"{"sender":"support001","sender_type":"Kefu","user_ids":["ben"]}"#
        #expect(await grant(fixture, id, body).status == .ok)
        #expect(await fixture.send(.get, "/api/files/\(id)", as: FilesFixture.otherCustomer).status == .ok)
    }

    @Test("bounds and checks the users of a grant")
    func grantLimits() async throws {
        let fixture = try await FilesFixture()
        let id = try await fixture.stored(jpeg).fileID
        func body(_ count: Int) -> String {
            #"{"sender":"anna","user_ids":["# + (0..<count).map { "\"u\($0)\"" }.joined(separator: ",") + "]}"
        }
        #expect(await grant(fixture, id, body(100)).status == .ok)
        #expect(await grant(fixture, id, body(101)).status == 422)
        #expect(await grant(fixture, id, #"{"sender":"anna","user_ids":["a b"]}"#).status == 422)
    }

    @Test("a recalled message takes the file from those who have it by no other message")
    func revoking() async throws {
        let fixture = try await FilesFixture()
        let id = try await fixture.stored(jpeg).fileID
        let other = try await fixture.stored(jpeg).fileID
        func canRead(_ id: String, _ caller: Caller = FilesFixture.otherCustomer) async -> Bool {
            await fixture.send(.get, "/api/files/\(id)", as: caller).status == .ok
        }
        func revoke(_ source: String) async -> Status {
            await grant(fixture, id, #"{"source":"\#(source)"}"#, route: "grants/revoke").status
        }
        // The same source for several users and files, several sources for one user, one of them twice.
        for source in ["c:ben 1", "c:ben 2", "c:ben 2"] {
            let body = #"{"sender":"anna","user_ids":["ben","anna"],"source":"\#(source)"}"#
            #expect(await grant(fixture, id, body).status == .ok)
            #expect(await grant(fixture, other, body).status == .ok)
        }
        #expect(await revoke("c:ben 1") == .noContent)
        #expect(await canRead(id), "another message is left")
        #expect(await revoke("c:ben") == .noContent)
        #expect(await canRead(id), "no such source")
        #expect(await revoke("c:ben 2") == .noContent)
        #expect(await !canRead(id))
        #expect(await canRead(id, FilesFixture.customer), "the uploader reads it in any case")
        #expect(await canRead(other), "another file")
        #expect(await revoke("c:ben 2") == .noContent, "again")
        // A repeat of the message after all, and a grant for good beside it.
        let again = #"{"sender":"anna","user_ids":["ben"],"source":"c:ben 2"}"#
        #expect(await grant(fixture, id, again).status == .ok)
        #expect(await canRead(id))
        #expect(await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"]}"#).status == .ok)
        #expect(await revoke("c:ben 2") == .noContent)
        #expect(await canRead(id))
    }

    @Test("revoking from a file that is not there, or none, is 204", arguments: ["AAAAAAAAAAAAAAAAAAAAAA", "file123"])
    func revokingUnknown(_ id: String) async throws {
        let fixture = try await FilesFixture()
        #expect(await grant(fixture, id, #"{"source":"s"}"#, route: "grants/revoke").status == .noContent)
    }

    @Test(
        "a source has 1 to 400 bytes",
        arguments: [("", 422), ("s", 200), (String(repeating: "s", count: 400), 200)]
            + [(String(repeating: "s", count: 401), 422), (String(repeating: "张", count: 134), 422)]
    )
    func sourceLimits(_ source: String, status: Int) async throws {
        let fixture = try await FilesFixture()
        let id = try await fixture.stored(jpeg).fileID
        let granted = await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"],"source":"\#(source)"}"#)
        #expect(granted.status.code == status)
        let revoked = await grant(fixture, id, #"{"source":"\#(source)"}"#, route: "grants/revoke")
        #expect(revoked.status.code == (status == 200 ? 204 : status))
    }

    @Test("a revocation names its source")
    func revokingNothing() async throws {
        let fixture = try await FilesFixture()
        let id = try await fixture.stored(jpeg).fileID
        #expect(await grant(fixture, id, #"{"sender":"anna","user_ids":["ben"]}"#).status == .ok)
        #expect(await grant(fixture, id, "{}", route: "grants/revoke").status == 422)
        #expect(await fixture.send(.get, "/api/files/\(id)", as: FilesFixture.otherCustomer).status == .ok)
    }

    @Test("the uploader or an administrator deletes it; the blob goes with its last record")
    func deleting() async throws {
        let fixture = try await FilesFixture()
        let first = try await fixture.stored(jpeg)
        let second = try await fixture.stored(jpeg, as: FilesFixture.otherCustomer)
        #expect(await fixture.send(.delete, "/api/files/\(first.fileID)", as: FilesFixture.agent).status == 403)
        #expect(await fixture.send(.delete, "/api/files/\(first.fileID)", as: FilesFixture.otherCustomer).status == 404)
        #expect(await fixture.send(.delete, "/api/files/\(first.fileID)").status == .noContent)
        #expect(await fixture.send(.get, first.url).status == 404)
        #expect(await fixture.send(.delete, "/api/files/\(first.fileID)").status == 404)
        #expect(try fixture.filesOnDisk().blobs == [second.sha256])
        #expect(await fixture.send(.delete, "/api/files/\(second.fileID)", as: FilesFixture.admin).status == .noContent)
        #expect(try fixture.filesOnDisk().blobs.isEmpty)
    }
}

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
        _ body: String
    ) async -> Response {
        await fixture.send(
            .post,
            "/internal/files/\(id)/grants",
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

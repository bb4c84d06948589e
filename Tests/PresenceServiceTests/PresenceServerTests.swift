import Core
import Foundation
import HTTP
import Net
import Testing
import Transport

@testable import PresenceService

@Suite("Presence behind a real server")
struct PresenceServerTests {
    /// Runs `body` with a server on a port of the kernel's choice.
    private func withServer(_ body: (RouteDriver, _ get: @escaping Get) async throws -> Void) async throws {
        let driver = try await RouteDriver()
        let loops = try EventLoopGroup()
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let router = driver.router
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(address: address),
            loops: loops,
            log: Log(service: "presence", level: .error)
        ) { await router.respond(to: $0) }
        let port = try server.start().port
        let client = HTTPClient(loops: loops)
        try await body(driver) { target in
            let request = ClientRequest(.get, host: "127.0.0.1", port: port, target: target)
            return try await client.send(request, timeout: .seconds(30))
        }
        driver.presence.feed.close()
        await server.drain(grace: .seconds(5))
        await client.shutDown()
        loops.shutDown()
    }

    private typealias Get = @Sendable (_ target: String) async throws -> ClientResponse

    @Test("a long poll is answered when something happens", .timeLimit(.minutes(5)))
    func longPoll() async throws {
        try await withServer { driver, get in
            async let waiting = get("/internal/changes?epoch=epoch&after=0&wait=25")
            while driver.presence.feed.waiting == 0 { await Task.yield() }
            _ = try await driver.announce("g1", ["u1:Kehu"])
            let response = try await waiting
            #expect(response.status == .ok)
            #expect(String(decoding: response.body, as: UTF8.self).contains(#""user_id":"u1""#))
        }
    }

    @Test("a client that goes away gives its place among the waiting up", .timeLimit(.minutes(5)))
    func disconnect() async throws {
        try await withServer { driver, get in
            let waiting = Task { try await get("/internal/changes?epoch=epoch&after=0&wait=25") }
            while driver.presence.feed.waiting == 0 { await Task.yield() }
            waiting.cancel()
            while driver.presence.feed.waiting > 0 { await Task.yield() }
            _ = await waiting.result
        }
    }

    @Test("the drain does not wait for long polls", .timeLimit(.minutes(5)))
    func drain() async throws {
        try await withServer { driver, get in
            async let waiting = get("/internal/changes?epoch=epoch&after=0&wait=25")
            while driver.presence.feed.waiting == 0 { await Task.yield() }
            driver.presence.feed.close()
            let response = try await waiting
            #expect(String(decoding: response.body, as: UTF8.self).contains(#""changes":[]"#))
        }
    }
}

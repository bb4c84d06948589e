import Core
import HTTP
import Net
import Synchronization
import TestSupport
import Testing
import Transport

@testable import ServiceKit

@Suite("Command line")
struct InvocationTests {
    @Test(
        "what a command line asks for",
        arguments: [
            ([], .service(config: nil)),
            (["--config", "a.json"], .service(config: "a.json")),
            (["--config=a.json"], .service(config: "a.json")),
            (["--help"], .help), (["-h"], .help), (["--version"], .version),
            (
                ["--config", "a", "make", "--help", "x"],
                .command(name: "make", config: "a", arguments: ["--help", "x"])
            ),
            (["make", "--n", "1", "--config", "a"], .command(name: "make", config: "a", arguments: ["--n", "1"])),
            (["--config"], .wrong("--config takes one FILE")),
            (["--config", "a", "--config", "b"], .wrong("--config takes one FILE")),
            (["--verbose"], .wrong("unknown argument --verbose")),
            (["serve"], .wrong("unknown argument serve")),
        ] as [([String], Invocation)]
    )
    func parse(arguments: [String], expected: Invocation) {
        #expect(Invocation.parse(arguments, commands: ["make"]) == expected)
    }
}

@Suite("Service process", .timeLimit(.minutes(5)))
struct ServiceProcessTests {
    private func makeProcess() throws -> ServiceProcess {
        let settings = try Settings.development([
            "presence.listen": "127.0.0.1:0", "cors.allowed_origins": "https://a.example", "shutdown.grace_ms": "5000",
        ])
        return try ServiceProcess("test", settings: settings, log: Log(service: "test", level: .error, descriptor: -1))
    }

    private func get(
        _ process: ServiceProcess,
        _ server: ListeningServer,
        _ target: String,
        _ headers: Headers = [:]
    )
        async throws -> ClientResponse
    {
        let request = ClientRequest(
            .get,
            host: "127.0.0.1",
            port: server.address.port,
            target: target,
            headers: headers
        )
        return try await process.http.send(request, timeout: .seconds(10))
    }

    @Test("serves its routes behind the standard chain, with health and metrics beside them")
    func serves() async throws {
        let process = try makeProcess()
        var router = Router()
        router.add(.get, "/hello/{name}") { Response(contentType: "text/plain", Array("hi \($0.parameters)".utf8)) }
        router.add(.get, "/internal/x") { _ in Response(.ok) }
        let server = try process.listen(at: SettingsCatalogue.presenceListen, router)
        let hello = try await get(process, server, "/hello/a", ["Origin": "https://a.example", "X-Request-Id": "r-1"])
        #expect(hello.status == 200)
        #expect(hello.headers["Access-Control-Allow-Origin"] == "https://a.example")
        #expect(hello.headers["X-Request-Id"] == "r-1")
        #expect(try await get(process, server, "/internal/x").status == 403)
        #expect(try await get(process, server, "/healthz").status == 200)
        #expect(try await get(process, server, "/readyz").status == 200)
        let metrics = String(decoding: try await get(process, server, "/metrics").body, as: UTF8.self)
        #expect(metrics.contains(#"http_requests_total{method="GET",status="403"} 1"#))
        process.requestStop()
        try await process.untilSignal(server)
        await process.tearDown()
    }

    @Test("a stop finishes what is in progress, and takes nothing new")
    func drains() async throws {
        let process = try makeProcess()
        let (held, release) = AsyncStream.makeStream(of: Void.self)
        let (started, didStart) = AsyncStream.makeStream(of: Void.self)
        var router = Router()
        router.add(.get, "/slow") { _ in
            didStart.yield()
            for await _ in held {}
            return Response(contentType: "text/plain", Array("done".utf8))
        }
        let server = try process.listen(at: SettingsCatalogue.presenceListen, router)
        async let slow = get(process, server, "/slow")
        for await _ in started { break }
        process.requestStop()
        async let stopped: Void = process.untilSignal(server)
        #expect(await eventually { (try? await get(process, server, "/healthz")) == nil })
        release.finish()
        #expect(try await slow.body == Array("done".utf8))
        try await stopped
        await process.tearDown()
    }

    @Test("background work is cancelled and waited for; work that fails stops the process as a failure")
    func background() async throws {
        struct Broken: Error {}
        let process = try makeProcess()
        let ended = Atomic<Bool>(false)
        let (never, held) = AsyncStream.makeStream(of: Void.self)
        process.background("waits") {
            // Ends by cancellation only, since nobody finishes it.
            for await _ in never {}
            ended.store(true, ordering: .relaxed)
        }
        process.background("breaks") { throw Broken() }
        let server = try process.listen(at: SettingsCatalogue.presenceListen, Router())
        await #expect(throws: ServiceProcess.BackgroundFailure.self) { try await process.untilSignal(server) }
        let endedEarly = ended.load(ordering: .relaxed)
        #expect(!endedEarly)
        await process.tearDown()
        withExtendedLifetime(held) {}
        let hasEnded = ended.load(ordering: .relaxed)
        #expect(hasEnded)
    }
}

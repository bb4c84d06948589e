import Core
import HTTP
import Net
import Redis
import Storage
import Synchronization
import TestSupport
import Testing
import Transport

@testable import ServiceKit

@Suite("The wait for a store", .timeLimit(.minutes(5)))
struct StoreWaitTests {
    private struct Broken: Error {}

    @Test("it is said at once, and then every ten seconds")
    func reports() {
        var wait = StoreWait()
        #expect(wait.begunAt == nil)
        var reported: [Int64] = []
        for now in stride(from: Int64(5000), through: 35_000, by: 500) {
            let (pause, isReported) = wait.failed(now: now)
            #expect(pause > .zero && pause <= .seconds(1))
            if isReported { reported.append(now) }
        }
        #expect(reported == [5000, 15_000, 25_000, 35_000])
        #expect(wait.begunAt == 5000)
    }

    @Test(
        "what passes by itself is waited for, and nothing else",
        arguments: [
            (ChangeLogError.unavailable(""), true), (ChangeLogError.outcomeUnknown(""), true),
            (ChangeLogError.full(""), true), (ChangeLogError.unusable(""), false), (RedisError.unavailable(""), true),
            (RedisError.connectionLost(mayHaveRun: true), true), (RedisError.timedOut(mayHaveRun: true), true),
            (RedisError.server(RedisServerError(.loading, "")), true),
            (RedisError.server(RedisServerError(.busy, "")), true),
            (RedisError.server(RedisServerError(.masterDown, "")), true),
            (RedisError.server(RedisServerError(.clusterDown, "")), true),
            (RedisError.server(RedisServerError(.wrongType, "")), false),
            (RedisError.refused(RedisServerError(.wrongPassword, "")), false),
            (RedisError.refused(RedisServerError(.noAuthentication, "")), false),
            (StorageError.newerVersion(path: "", unknownSteps: []), false), (StorageError.historyLost(path: ""), false),
            (Broken(), false),
        ] as [(any Error, Bool)]
    )
    func worthwhile(error: any Error, expected: Bool) {
        #expect(StoreWait.isWorthwhile(after: error) == expected)
    }

    // MARK: - In a process

    private func makeProcess(port: UInt16) throws -> ServiceProcess {
        let settings = try Settings.development(["presence.listen": "127.0.0.1:\(port)"])
        return try ServiceProcess("test", settings: settings, log: Log(service: "test", level: .error, descriptor: -1))
    }

    /// Of a server that has stopped.
    private func freePort() async throws -> UInt16 {
        let process = try makeProcess(port: 0)
        let server = try process.listen(at: SettingsCatalogue.presenceListen, Router())
        await server.server.drain(grace: .zero)
        await process.tearDown()
        return server.address.port
    }

    private func get(_ process: ServiceProcess, _ port: UInt16, _ target: String) async throws -> ClientResponse {
        try await process.http.send(
            ClientRequest(.get, host: "127.0.0.1", port: port, target: target),
            timeout: .seconds(10)
        )
    }

    @Test("a service without its store lives and is not ready; with it, its port is its own")
    func waits() async throws {
        let port = try await freePort()
        let process = try makeProcess(port: port)
        let isThere = Atomic(false)
        let attempts = Atomic(0)
        async let value = process.whenStoreAnswers(listeningAt: SettingsCatalogue.presenceListen) {
            attempts.add(1, ordering: .relaxed)
            guard isThere.load(ordering: .relaxed) else { throw ChangeLogError.unavailable("away") }
            return 7
        }
        #expect(await eventually { (try? await get(process, port, "/healthz"))?.status == 200 })
        let readiness = try await get(process, port, "/readyz")
        #expect(readiness.status == 503)
        #expect(String(decoding: readiness.body, as: UTF8.self).contains("not reachable: store"))
        #expect(try await get(process, port, "/api/presence").status == 503)
        #expect(await eventually { attempts.load(ordering: .relaxed) >= 3 })
        isThere.store(true, ordering: .relaxed)
        #expect(try await value == 7)
        let server = try process.listen(at: SettingsCatalogue.presenceListen, Router())
        #expect(try await get(process, port, "/readyz").status == 200)
        #expect(try await get(process, port, "/api/presence").status == 404)
        await server.server.drain(grace: .zero)
        await process.tearDown()
    }

    @Test("what does not pass ends the start at once, also after a wait, and gives the port back")
    func ends() async throws {
        let port = try await freePort()
        let process = try makeProcess(port: port)
        let attempts = Atomic(0)
        await #expect(throws: ChangeLogError.unusable("password")) {
            try await process.whenStoreAnswers(listeningAt: SettingsCatalogue.presenceListen) {
                let count = attempts.add(1, ordering: .relaxed).newValue
                throw count < 3 ? ChangeLogError.unavailable("away") : .unusable("password")
            }
        }
        let count = attempts.load(ordering: .relaxed)
        #expect(count == 3)
        let server = try process.listen(at: SettingsCatalogue.presenceListen, Router())
        await server.server.drain(grace: .zero)
        await process.tearDown()
    }

    @Test("the stop ends the wait, even while an attempt hangs", arguments: [true, false])
    func stops(isHanging: Bool) async throws {
        let process = try makeProcess(port: 0)
        let attempts = Atomic(0)
        let (release, releaser) = AsyncStream.makeStream(of: Void.self)
        let starting = Task {
            try await process.whenStoreAnswers(listeningAt: SettingsCatalogue.presenceListen) {
                attempts.add(1, ordering: .relaxed)
                // Heeds no cancellation, as a database's queue that blocks.
                if isHanging { await Task { for await _ in release {} }.value }
                throw ChangeLogError.unavailable("away")
            }
        }
        #expect(await eventually { attempts.load(ordering: .relaxed) >= (isHanging ? 1 : 2) })
        process.requestStop()
        await #expect(throws: StopRequest.Requested.self) { try await starting.value }
        releaser.finish()
        await process.tearDown()
    }

    @Test("who waits for the stop no longer is forgotten")
    func cancelled() async {
        let stop = StopRequest()
        let waiting = Task { await stop.wait() }
        waiting.cancel()
        await waiting.value
        #expect(!stop.isRequested)
        async let other: Void = stop.wait()
        stop.request()
        await other
    }
}

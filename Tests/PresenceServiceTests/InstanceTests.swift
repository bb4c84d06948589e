import Core
import Foundation
import HTTP
import Net
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing
import Transport

@testable import PresenceService

/// An instance with a server of its own on a copy of a database whose history is in memory.
private final class RunningInstance: Sendable {
    let log: MemoryChangeLog
    private let process: ServiceProcess
    private let database: Database
    private let server: HTTPServer
    private let instance: Instance
    private let work: Task<Void, Never>
    private let port: UInt16

    /// - Parameter log: The history, which several share.
    init(_ log: MemoryChangeLog, in directory: TemporaryDirectory, limits: Leadership.Limits) async throws {
        self.log = log
        let settings = try Settings.development(["auth.url": "http://127.0.0.1:1"])
        let process = try ServiceProcess("presence", settings: settings, log: Log(service: "presence", descriptor: -1))
        self.process = process
        let database = try await Database.openPresenceCopy(in: directory, log)
        self.database = database
        let holder = Mutex<Instance?>(nil)
        let held = Holder(holder)
        var router = Router()
        router.fallback = { request in
            guard let instance = held.instance else { throw PresenceError.notLeading }
            return try await instance.respond(to: request)
        }
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        server = HTTPServer(
            configuration: HTTPServerConfiguration(address: address),
            loops: process.loops,
            log: process.log,
            responder: process.makeResponder(router)
        )
        port = try server.start().port
        let surroundings = Leader.Surroundings(
            config: try PresenceConfig(settings),
            database: database,
            sessions: process.makeSessionVerifier(),
            directory: UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL)),
            log: process.log,
            presenceMetrics: PresenceMetrics(process.metrics),
            routingMetrics: RoutingMetrics(process.metrics)
        )
        let (loops, token) = (process.loops, settings[SettingsCatalogue.internalToken])
        let now: @Sendable () -> Milliseconds = { Moment.now().monotonic }
        let instance = Instance(
            store: SQLiteLeadershipStore(database),
            url: BaseURL(HostPort(host: "127.0.0.1", port: Int(port))),
            limits: limits,
            log: process.log,
            now: now,
            firstRegistration: { 100 },
            makeForwarder: { Forwarder(to: $0, token: token, loops: loops, now: now) },
            makeLeader: { term, lease in
                try await Leader(surroundings, firstRegistration: term.firstRegistration, lease: lease)
            }
        )
        self.instance = instance
        held.instance = instance
        work = Task { await instance.run() }
    }

    /// What the server is given before there is an instance.
    private final class Holder: Sendable {
        private let held: Mutex<Instance?>
        init(_ held: consuming Mutex<Instance?>) { self.held = held }

        var instance: Instance? {
            get { held.withLock { $0 } }
            set { held.withLock { $0 = newValue } }
        }
    }

    /// Leads, and may answer.
    var leads: Bool { get async { await (try? ask(.get, "/internal/users", handedOn: true))?.status == 200 } }

    /// A request over the wire: the status, and the body's JSON object.
    ///
    /// - Parameter handedOn: Whether it comes from another instance, so that only a leader answers.
    func ask(
        _ method: HTTP.Method,
        _ target: String,
        _ body: String = "",
        handedOn: Bool = false,
        timeout: Duration = .seconds(30)
    ) async throws -> (status: Int, json: [String: any Sendable]) {
        var headers: Headers = ["Content-Type": "application/json"]
        headers[InternalGuard.headerName] = process.settings[SettingsCatalogue.internalToken]
        if handedOn { headers[Forwarder.header] = "1" }
        let answer = try await process.http.send(
            ClientRequest(
                method,
                host: "127.0.0.1",
                port: port,
                target: target,
                headers: headers,
                body: Array(body.utf8)
            ),
            timeout: timeout
        )
        guard !answer.body.isEmpty else { return (answer.status.code, [:]) }
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable]
        return (answer.status.code, object ?? [:])
    }

    /// The epoch that a gateway's heartbeat is answered with; `nil` without such an answer.
    func epoch() async -> String? {
        let body = #"{"url":"http://h:1","incarnation":"a","connections":1,"draining":false}"#
        return try? await ask(.post, "/internal/gateways/g1", body).json["presence_epoch"] as? String
    }

    /// Ends as on SIGTERM.
    func stop() async {
        work.cancel()
        await work.value
    }

    func shutDown() async {
        await stop()
        await server.drain(grace: .seconds(1))
        await process.tearDown()
        await database.close()
        process.loops.shutDown()
    }
}

@Suite("Instances", .timeLimit(.minutes(5)))
struct InstanceTests {
    /// Short, and far enough apart for a machine that is busy.
    private static let quick = {
        var limits = Leadership.Limits()
        limits.beatInterval = 100
        limits.leaseMax = 1000
        limits.silenceMax = 2000
        limits.lapseMax = 2500
        limits.lookInterval = 20
        return limits
    }()

    /// With these nobody takes over from one who only stands still.
    private static let patient = {
        var limits = quick
        limits.leaseMax = 3_600_000
        limits.silenceMax = 7_200_000
        return limits
    }()

    private func withInstances(
        _ count: Int = 2,
        _ limits: Leadership.Limits,
        _ body: ([RunningInstance]) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let log = MemoryChangeLog()
        var instances: [RunningInstance] = []
        for _ in 0..<count { instances.append(try await RunningInstance(log, in: directory, limits: limits)) }
        do {
            try await body(instances)
        } catch {
            for instance in instances { await instance.shutDown() }
            throw error
        }
        for instance in instances { await instance.shutDown() }
    }

    /// The index of the one that leads, once there is one and all others know it.
    private func leader(of instances: [RunningInstance]) async throws -> Int {
        var found: Int?
        let isSettled = await eventually {
            var leading: [Int] = []
            var epochs: Set<String?> = []
            for (index, instance) in instances.enumerated() {
                if await instance.leads { leading.append(index) }
                epochs.insert(await instance.epoch())
            }
            guard leading.count == 1, epochs.count == 1, !epochs.contains(nil) else { return false }
            found = leading.first
            return true
        }
        #expect(isSettled, "one leads and the others hand on to it")
        return try #require(found)
    }

    @Test("one leads, and the others answer as it does: long polls, errors and what was stored")
    func oneLeads() async throws {
        try await withInstances(3, Self.patient) { instances in
            let leader = instances[try await leader(of: instances)]
            let epoch = await leader.epoch()
            for instance in instances {
                #expect(await instance.epoch() == epoch)
                #expect(try await instance.ask(.get, "/nowhere").status == 404)
                #expect(try await instance.ask(.delete, "/internal/users").status == 405)
                #expect(try await instance.ask(.post, "/internal/locate", "{").status == 400)
                #expect(try await instance.ask(.get, "/api/presence").status == 401)
            }
            let others = instances.filter { $0 !== leader }
            async let polled = others[0].ask(.get, "/internal/changes?epoch=\(epoch ?? "")&after=0&wait=25")
            let status = try await others[1].ask(.put, "/internal/users/a1/status", #"{"status":"Busy"}"#)
            #expect(status.status == 204)
            #expect(try await join("u1", at: others[1]) == 200)
            let changes = try await polled.json["changes"] as? [[String: any Sendable]]
            #expect(changes?.first?["user_id"] as? String == "u1")
        }
    }

    /// Announces a gateway with one user.
    private func join(_ userID: String, at instance: RunningInstance) async throws -> Int {
        let heartbeat = #"{"url":"http://h:1","incarnation":"b","connections":1,"draining":false}"#
        let number = try await instance.ask(.post, "/internal/gateways/g1", heartbeat).json["registration"] as? Int
        let user = #"{"kind":"join","user_id":"\#(userID)","user_name":"n","user_type":"Kehu"}"#
        let events = #"[{"kind":"announce_begin"},\#(user),{"kind":"announce_end"}]"#
        let body = #"{"gateway_id":"g1","registration":\#(number ?? 0),"first":1,"events":\#(events)}"#
        return try await instance.ask(.post, "/internal/events", body).status
    }

    @Test("one that stops gives leadership up, and another one has it though the old beat is fresh")
    func handover() async throws {
        try await withInstances(2, Self.patient) { instances in
            let first = try await leader(of: instances)
            let other = instances[1 - first]
            let epoch = await other.epoch()
            // A poll that waits at the other one is answered, or refused to be asked again, and does not hang.
            async let polled = other.ask(.get, "/internal/changes?epoch=\(epoch ?? "")&after=0&wait=25")
            #expect(await instances[first].epoch() == epoch)
            await instances[first].stop()
            #expect(await eventually { await other.leads })
            #expect(await other.epoch() != epoch)
            #expect([200, 503].contains(try await polled.status))
            #expect(try await instances[first].ask(.get, "/internal/users").status == 503)
        }
    }

    @Test("without the database nobody answers; back in time the leader goes on as it was")
    func outage() async throws {
        var limits = Self.quick
        limits.lapseMax = 3_600_000
        limits.silenceMax = 3_600_000
        try await withInstances(2, limits) { instances in
            let first = try await leader(of: instances)
            let epoch = await instances[first].epoch()
            instances[0].log.isAway = true
            for instance in instances { #expect(await eventually { await instance.epoch() == nil }) }
            instances[0].log.isAway = false
            #expect(try await leader(of: instances) == first)
            #expect(await instances[first].epoch() == epoch)
        }
    }

    @Test("away for longer, presence begins anew, and one leads again")
    func longOutage() async throws {
        try await withInstances(2, Self.quick) { instances in
            let first = try await leader(of: instances)
            let epoch = await instances[first].epoch()
            instances[0].log.isAway = true
            #expect(await eventually { await instances[first].epoch() == nil })
            // The lapse is over when the leader no longer says it leads even with the database there.
            try await passed(Self.quick.lapseMax + 1000)
            instances[0].log.isAway = false
            let next = try await leader(of: instances)
            #expect(await instances[next].epoch() != epoch)
        }
    }

    /// Waits for a span of the clock that the instances go by.
    private func passed(_ span: Milliseconds) async throws {
        let end = Moment.now().monotonic + span
        #expect(await eventually { Moment.now().monotonic >= end })
    }

    @Test("one that was replaced answers as the leader no more, and forgets what only it knew")
    func deposed() async throws {
        try await withInstances(1, Self.quick) { instances in
            let one = instances[0]
            _ = try await leader(of: instances)
            let epoch = await one.epoch()
            let directory = try TemporaryDirectory()
            let database = try await Database.openPresenceCopy(in: directory, one.log)
            let store = SQLiteLeadershipStore(database)
            // Beats of the present leader may come between.
            let isClaimed = try await eventually {
                try await store.claim(after: try await store.record(), url: "http://127.0.0.1:1", firstRegistration: 1)
                    != nil
            }
            #expect(isClaimed)
            let record = try await store.record()
            #expect(await eventually { await !one.leads })
            #expect(try await store.record() == record, "it has not written")
            // The other one was never heard of again.
            _ = try await leader(of: instances)
            #expect(await one.epoch() != epoch)
            await database.close()
        }
    }
}

import Core
import Storage
import TestSupport

@testable import PresenceService

extension Moment {
    /// A time of the tests' own.
    static let start = Moment(monotonic: 1_000_000, wall: Timestamp(milliseconds: 1_768_903_200_000))
}

extension PresenceSchema {
    /// The database at `path`, of the engine that the run is for; a second time the same one.
    static func open(path: String) async throws -> Database {
        try await StoreEngine.open(path, migrations: migrations)
    }
}

extension PresenceTable.Identity {
    static func customer(_ userID: String) -> Self {
        Self(userID: userID, userName: "\(userID)'s name", userType: .customer)
    }

    static func agent(_ userID: String) -> Self {
        Self(userID: userID, userName: "\(userID)'s name", userType: .agent)
    }
}

extension [PresenceNews] {
    /// `joined:u1` and so on.
    var words: [String] { map { "\($0.kind):\($0.identity.userID)" } }
}

/// A state machine with its clock, driven as a gateway would.
struct StateDriver {
    var state: PresenceState
    var now = Moment.start
    var news: [String] = []
    private var numbers: [Int: Int] = [:]

    init(_ limits: PresenceState.Limits = .init()) {
        state = PresenceState(limits: limits, firstRegistration: 100, now: now)
    }

    /// Lets time pass as the sweep does, in steps.
    mutating func pass(_ span: Milliseconds, heartbeats: [(String, String)] = []) {
        let end = now.monotonic + span
        while now.monotonic < end {
            now = now.advanced(by: min(500, end - now.monotonic))
            for (gatewayID, incarnation) in heartbeats { beat(gatewayID, incarnation) }
            news += state.advance(now: now).news.words
        }
    }

    @discardableResult
    mutating func beat(
        _ gatewayID: String,
        _ incarnation: String = "a",
        connections: Int = 1,
        draining: Bool = false
    ) -> Int? {
        try? state.heartbeat(
            gatewayID,
            url: "http://\(gatewayID)",
            incarnation: incarnation,
            connections: connections,
            draining: draining,
            now: now
        )
    }

    /// Registers and announces these users.
    mutating func announce(_ gatewayID: String, incarnation: String = "a", _ users: [String]) throws -> Int {
        let number = beat(gatewayID, incarnation) ?? 0
        try send(gatewayID, number, [.announceBegin] + users.map { .join(.customer($0)) } + [.announceEnd])
        return number
    }

    /// Sends the next events of the registration.
    mutating func send(_ gatewayID: String, _ number: Int, _ events: [PresenceState.Event]) throws {
        let first = numbers[number, default: 1]
        numbers[number] = first + events.count
        try sendCopy(gatewayID, number, first: first, events)
    }

    /// Sends events with any number.
    mutating func sendCopy(_ gatewayID: String, _ number: Int, first: Int, _ events: [PresenceState.Event]) throws {
        let applied = try state.apply(events, from: gatewayID, registration: number, first: first, now: now)
        news += applied.news.words
    }

    /// The news since the last call.
    mutating func takeNews() -> [String] {
        defer { news = [] }
        return news
    }
}

import Core
import HTTP
import ServiceKit
import Synchronization

/// `POST /api/client-log`: what went wrong or took long on people's pages; public, logged and counted.
///
/// The texts are whatever the pages send: a line of the log each, escaped, and never more than so much of them.
struct ClientLogRoutes: RouteGroup {
    /// The largest body, in bytes.
    static let bodyBytesMax = 16 * 1024
    static let eventsMax = 50
    /// Characters of a text that are logged; what is longer is refused.
    static let textScalarsMax = 1000
    /// A day, in milliseconds: nothing on a page is timed for longer.
    static let valueMax = 86_400_000.0

    let log: Log
    let metrics: GatewayMetrics
    let limit: ClientLogLimit

    func register(in router: inout Router) {
        router.add(.post, "/api/client-log") { request in try await take(request) }
    }

    func take(_ request: Request) async throws -> Response {
        try limit.count(request.remoteAddress)
        let report = try await request.json(ClientReport.self, upTo: Self.bodyBytesMax)
        try report.check()
        for event in report.events {
            metrics.clientEvent(event.kind.rawValue)
            log.info(
                "client_event",
                [
                    "request_id": .string(request.id),
                    "kind": .string(event.kind.rawValue),
                    "message": .string(event.message),
                    "source": .optional(event.source),
                    "value_ms": event.value.map { .double($0) } ?? .none,
                    "at": .string(event.at),
                    "remote": .string(request.remoteAddress),
                ]
            )
        }
        return Response(.noContent)
    }
}

/// How often one address may report.
final class ClientLogLimit: Sendable {
    static let perMinuteMax = 30
    private static let addressesMax = 10_000

    private let rates: Mutex<RateTable>
    private let now: @Sendable () -> Int64

    /// - Parameter now: A monotonic clock, in milliseconds.
    init(now: @escaping @Sendable () -> Int64 = { Monotonic.milliseconds() }) {
        self.now = now
        rates = Mutex(
            RateTable(eventsMax: Self.perMinuteMax, windowMilliseconds: 60_000, keysMax: Self.addressesMax)
        )
    }

    /// Counts one more report.
    ///
    /// - Throws: `Problem` 429 with `Retry-After`; then it is not counted.
    func count(_ address: String) throws(Problem) {
        let key = ClientNetwork.key(of: address)
        let now = now()
        let wait = rates.withLock { rates -> Int64? in
            if let wait = rates.wait(key, now: now) { return wait }
            rates.count(key, now: now)
            return nil
        }
        guard let wait else { return }
        let retry = Problem.Header("Retry-After", String((wait + 999) / 1000))
        throw Problem(429, .tooManyRequests, "reports: at most \(Self.perMinuteMax) a minute", headers: [retry])
    }
}

/// The body: `{"events":[{"kind","message","source"?,"value_ms"?,"at"}]}`.
struct ClientReport: Decodable, Sendable {
    struct Event: Decodable, Sendable {
        enum Kind: String, Sendable, WireWord {
            case error, timing
        }

        let kind: Kind
        let message: String
        let source: String?
        /// Milliseconds.
        let value: Double?
        /// RFC 3339, by the page's clock.
        let at: String

        private enum CodingKeys: String, CodingKey {
            case kind, message, source
            case value = "value_ms"
            case at
        }
    }

    private static let timeBytesMax = 40

    let events: [Event]

    func check() throws(Problem) {
        guard events.count <= ClientLogRoutes.eventsMax else {
            throw .invalidField("events", "must have at most \(ClientLogRoutes.eventsMax) items")
        }
        for (index, event) in events.enumerated() {
            let place = "events[\(index)]"
            for (name, text) in [("message", event.message), ("source", event.source ?? "")] {
                guard text.unicodeScalars.count <= ClientLogRoutes.textScalarsMax else {
                    let rule = "must have at most \(ClientLogRoutes.textScalarsMax) characters"
                    throw .invalidField("\(place).\(name)", rule)
                }
            }
            if let value = event.value, !(0...ClientLogRoutes.valueMax).contains(value) {
                throw .invalidField("\(place).value_ms", "must be from 0 to \(Int(ClientLogRoutes.valueMax))")
            }
            guard (1...Self.timeBytesMax).contains(event.at.utf8.count) else {
                throw .invalidField("\(place).at", "must be a time as RFC 3339 writes it")
            }
        }
    }
}

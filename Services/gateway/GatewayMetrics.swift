import Core
import ServiceKit
import WebSocket

/// What the gateway counts.
///
/// Counters are atomics; the hot path adds to them once a batch.
struct GatewayMetrics: Sendable {
    private let connectionsOpen: Gauge
    private let connectionsTotal: Counter
    private let accepted: Counter
    private let repeated: Counter
    private let failed: Counter
    private let deliveries: Counter
    private let auditsDropped: Counter
    private let hintsOut: Counter
    private let hintsIn: Counter
    private let hintsWaiting: Gauge
    private let lookUps: Counter
    private let placesKnown: Counter
    private let placesUnknown: Counter
    private let noticesLost: Counter
    private let headReads: Counter
    private let hintReads: Counter
    private let refused: CounterFamily
    private let closings: CounterFamily
    private let clientEvents: CounterFamily

    init(_ metrics: Metrics) {
        connectionsOpen = metrics.gauge("gateway_connections", help: "Open WebSockets.")
        connectionsTotal = metrics.counter("gateway_connections_total", help: "WebSockets opened.")
        accepted = metrics.counter("gateway_messages_total", help: "Messages made durable.")
        repeated = metrics.counter("gateway_messages_repeated_total", help: "Messages that were stored before.")
        failed = metrics.counter("gateway_messages_failed_total", help: "Messages that could not be stored.")
        deliveries = metrics.counter("gateway_deliveries_total", help: "Committed entries offered to other devices.")
        auditsDropped = metrics.counter(
            "gateway_audit_dropped_total",
            help: "Reads of conversations that auth was not told of."
        )
        hintsOut = metrics.counter("gateway_hints_sent_total", help: "Hints that other gateways have taken.")
        hintsIn = metrics.counter("gateway_hints_received_total", help: "Hints of other gateways.")
        hintsWaiting = metrics.gauge("gateway_hints_pending", help: "Hints that wait for presence or a gateway.")
        lookUps = metrics.counter("gateway_locate_calls_total", help: "Questions to presence where users are.")
        placesKnown = metrics.counter("gateway_locations_known_total", help: "Members whose place was known.")
        placesUnknown = metrics.counter("gateway_locations_unknown_total", help: "Members who were looked up.")
        noticesLost = metrics.counter(
            "gateway_notices_dropped_total",
            help: "Frames of the moment that did not reach another gateway."
        )
        headReads = metrics.counter(
            "gateway_head_reads_total",
            help: "Users whose heads were read for what another gateway may not have told."
        )
        hintReads = metrics.counter(
            "gateway_hint_reads_total",
            help: "Reads of conversations that other gateways hinted at."
        )
        refused = metrics.counters(
            "gateway_frames_refused_total",
            help: "Frames answered with Error.",
            labels: ["code"]
        )
        closings = metrics.counters(
            "gateway_closed_total",
            help: "WebSockets that the gateway closed.",
            labels: ["code"]
        )
        clientEvents = metrics.counters(
            "gateway_client_events_total",
            help: "Errors and timings that pages have reported.",
            labels: ["kind"]
        )
    }

    func opened() {
        connectionsOpen.add(1)
        connectionsTotal.increment()
    }

    func closed() { connectionsOpen.add(-1) }

    func committed(accepted: Int, repeated: Int, failed: Int) {
        self.accepted.increment(by: accepted)
        if repeated > 0 { self.repeated.increment(by: repeated) }
        if failed > 0 { self.failed.increment(by: failed) }
    }

    func delivered(_ count: Int) { deliveries.increment(by: count) }

    func auditDropped(_ count: Int) { auditsDropped.increment(by: count) }

    func hintsSent(_ count: Int) { hintsOut.increment(by: count) }

    func hintsReceived(_ count: Int) { hintsIn.increment(by: count) }

    func hintsPending(_ count: Int) { hintsWaiting.set(count) }

    func lookUpSent() { lookUps.increment() }

    func located(known: Int, unknown: Int) {
        if known > 0 { placesKnown.increment(by: known) }
        if unknown > 0 { placesUnknown.increment(by: unknown) }
    }

    func noticesDropped(_ count: Int) { noticesLost.increment(by: count) }

    func headsRead() { headReads.increment() }

    func hintRead() { hintReads.increment() }

    func frameRefused(_ code: ProblemCode) { refused.with(code.rawValue).increment() }

    func clientEvent(_ kind: String) { clientEvents.with(kind).increment() }

    func closing(_ reason: CloseReason) { closings.with(String(reason.code.rawValue)).increment() }
}

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
    private let refused: CounterFamily
    private let closings: CounterFamily

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

    func frameRefused(_ code: ProblemCode) { refused.with(code.rawValue).increment() }

    func closing(_ reason: CloseReason) { closings.with(String(reason.code.rawValue)).increment() }
}

import ServiceKit

/// What `/metrics` tells of routing.
struct RoutingMetrics: Sendable {
    let waiting: Gauge
    let oldestWait: Gauge
    let open: Gauge
    let decisions: CounterFamily
    let failures: Counter
    let pending: Gauge

    init(_ metrics: Metrics) {
        waiting = metrics.gauge("presence_queue_length", help: "Conversations that wait for an agent.")
        oldestWait = metrics.gauge("presence_queue_oldest_wait_seconds", help: "How long the longest of them waits.")
        open = metrics.gauge("presence_conversations_open", help: "Conversations that have an agent.")
        decisions = metrics.counters(
            "presence_decisions_total",
            help: "Routing decisions by kind and reason.",
            labels: ["kind", "reason"]
        )
        failures = metrics.counter(
            "presence_routing_failures_total",
            help: "Groups of routing commands that the store did not take."
        )
        pending = metrics.gauge("presence_decisions_pending", help: "Decisions that are not known to be in the log.")
    }

    /// Nothing is routed here any more.
    func clear() { for gauge in [waiting, oldestWait, open, pending] { gauge.set(0) } }
}

import ServiceKit

/// What `/metrics` tells of routing.
struct RoutingMetrics: Sendable {
    let waiting: Gauge
    let oldestWait: Gauge
    let open: Gauge
    let decisions: CounterFamily
    let failures: Counter

    /// - Parameter feed: Knows the decisions whose entry is not in the log yet.
    init(_ metrics: Metrics, feed: ChangeFeed) {
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
        metrics.read("presence_decisions_pending", help: "Decisions that are not known to be in the log.") {
            Double(feed.pendingDecisions)
        }
    }
}

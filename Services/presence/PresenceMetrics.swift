import ServiceKit

/// What `/metrics` tells of presence, besides what every service tells.
struct PresenceMetrics: Sendable {
    let gateways: Gauge
    let users: Gauge
    let eventsApplied: Counter
    let eventsRepeated: Counter
    let batchesRefused: Counter
    let usersRefused: Counter
    let gatewaysLost: Counter
    let changes: Counter

    init(_ metrics: Metrics) {
        gateways = metrics.gauge("presence_gateways", help: "Registered gateways.")
        users = metrics.gauge("presence_users", help: "Users online, those in their grace included.")
        eventsApplied = metrics.counter("presence_events_total", help: "Gateways' events applied.")
        eventsRepeated = metrics.counter("presence_events_repeated_total", help: "Events that had come before.")
        batchesRefused = metrics.counter(
            "presence_batches_refused_total",
            help: "Batches answered 409, after which a gateway announces everything again."
        )
        usersRefused = metrics.counter("presence_users_refused_total", help: "Joins past presence.users_max.")
        gatewaysLost = metrics.counter("presence_gateways_lost_total", help: "Gateways that were silent too long.")
        changes = metrics.counter("presence_changes_total", help: "Changes told: joined, left, status.")
    }

    /// Nobody is known here any more.
    func clear() { for gauge in [gateways, users] { gauge.set(0) } }
}

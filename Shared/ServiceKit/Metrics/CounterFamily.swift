import Synchronization

/// Counters that differ in the values of fixed labels, made as values appear, up to a limit.
///
/// Past the limit all new combinations share one series whose label values are `other`, so that what a client sends
/// cannot grow it.
package final class CounterFamily: Sendable {
    /// The most series, the shared one apart.
    package static let seriesMax = 200

    private let name: String
    private let help: String
    private let labelNames: [String]
    private let metrics: Metrics
    private let series = Mutex<[[String]: Counter]>([:])

    init(_ name: String, help: String, labelNames: [String], metrics: Metrics) {
        self.name = name
        self.help = help
        self.labelNames = labelNames
        self.metrics = metrics
    }

    /// The counter for these label values, in the order of the names.
    package func with(_ values: String...) -> Counter {
        precondition(values.count == labelNames.count, "\(name) has \(labelNames.count) labels")
        return series.withLock { series in
            if let counter = series[values] { return counter }
            let isFull = series.count >= Self.seriesMax
            let values = isFull ? labelNames.map { _ in "other" } : values
            if let counter = series[values] { return counter }
            let counter = metrics.counter(name, help: help, MetricLabels(Array(zip(labelNames, values))))
            series[values] = counter
            return counter
        }
    }
}

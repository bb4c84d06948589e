import Synchronization

/// The metrics of a process, made once at start and handed to whoever counts; `/metrics` writes them out.
///
/// Names follow Prometheus: `_total` for counters, the unit last. Asking again for the same name and labels gives the
/// same metric. Label values never come from clients, except through `CounterFamily`, which is bounded.
package final class Metrics: Sendable {
    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case reading(@Sendable () -> Double)
        case histogram(Histogram)
    }

    private struct Family: Sendable {
        let type: String
        let help: String
        /// In the order of their making.
        var series: [(labels: MetricLabels, Series)] = []
    }

    private struct State: Sendable {
        var families: [String: Family] = [:]
        var names: [String] = []
    }

    private let state = Mutex(State())

    /// - Parameter includesProcess: Whether the process's memory, descriptors and CPU time are among them.
    package init(includesProcess: Bool = true) {
        if includesProcess { ProcessMetrics.add(to: self) }
    }

    /// The counter of this name and these labels.
    package func counter(_ name: String, help: String, _ labels: MetricLabels = [:]) -> Counter {
        let series = find(name, "counter", help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = series else { preconditionFailure("\(name) is a gauge or reading too") }
        return counter
    }

    /// Counters that differ in the values of these labels.
    package func counters(_ name: String, help: String, labels: [String]) -> CounterFamily {
        CounterFamily(name, help: help, labelNames: labels, metrics: self)
    }

    /// The gauge of this name and these labels.
    package func gauge(_ name: String, help: String, _ labels: MetricLabels = [:]) -> Gauge {
        let series = find(name, "gauge", help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = series else { preconditionFailure("\(name) is a reading too") }
        return gauge
    }

    /// The histogram of this name and these labels.
    package func histogram(
        _ name: String,
        help: String,
        bounds: [Double] = Histogram.durationBounds,
        _ labels: MetricLabels = [:]
    ) -> Histogram {
        let series = find(name, "histogram", help, labels) { .histogram(Histogram(bounds: bounds)) }
        guard case .histogram(let histogram) = series else { preconditionFailure("\(name) is no histogram") }
        return histogram
    }

    /// Has a value read whenever the metrics are written.
    ///
    /// - Parameters:
    ///   - name: The metric's name.
    ///   - help: What it says.
    ///   - isCounter: Whether the value only grows.
    ///   - labels: The series' labels.
    ///   - read: Quick, and safe from any thread.
    package func read(
        _ name: String,
        help: String,
        isCounter: Bool = false,
        _ labels: MetricLabels = [:],
        _ read: @escaping @Sendable () -> Double
    ) {
        _ = find(name, isCounter ? "counter" : "gauge", help, labels) { .reading(read) }
    }

    private func find(
        _ name: String,
        _ type: String,
        _ help: String,
        _ labels: MetricLabels,
        make: () -> Series
    ) -> Series {
        state.withLock { state in
            if state.families[name] == nil { state.names.append(name) }
            var family = state.families[name] ?? Family(type: type, help: help)
            precondition(family.type == type, "\(name) is a \(family.type)")
            if let known = family.series.first(where: { $0.labels == labels }) { return known.1 }
            let made = make()
            family.series.append((labels, made))
            state.families[name] = family
            return made
        }
    }

    // MARK: - Writing

    /// The `Content-Type` of `text`.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All metrics in Prometheus's text format 0.0.4.
    package var text: String {
        let snapshot = state.withLock { $0 }
        var output = ""
        for name in snapshot.names {
            guard let family = snapshot.families[name] else { continue }
            let help = family.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
            output += "# HELP \(name) \(help)\n# TYPE \(name) \(family.type)\n"
            for (labels, series) in family.series {
                switch series {
                case .counter(let counter): output += "\(name)\(labels.braced()) \(counter.value)\n"
                case .gauge(let gauge): output += "\(name)\(labels.braced()) \(gauge.value)\n"
                case .reading(let read): output += "\(name)\(labels.braced()) \(Self.number(read()))\n"
                case .histogram(let histogram): Self.append(histogram, name, labels, to: &output)
                }
            }
        }
        return output
    }

    private static func append(_ histogram: Histogram, _ name: String, _ labels: MetricLabels, to output: inout String)
    {
        let snapshot = histogram.snapshot
        var total = 0
        for (bound, count) in zip(histogram.bounds, snapshot.counts) {
            total += count
            output += "\(name)_bucket\(labels.braced(adding: "le=\"\(number(bound))\"")) \(total)\n"
        }
        total += snapshot.counts.last ?? 0
        output += "\(name)_bucket\(labels.braced(adding: "le=\"+Inf\"")) \(total)\n"
        output += "\(name)_sum\(labels.braced()) \(number(snapshot.sum))\n"
        output += "\(name)_count\(labels.braced()) \(total)\n"
    }

    /// Whole numbers without a fraction.
    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : (value > 0 ? "+Inf" : "-Inf") }
        return Int(exactly: value).map(String.init) ?? String(value)
    }
}

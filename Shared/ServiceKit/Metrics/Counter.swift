import Synchronization

/// A number that only grows: requests served, bytes sent.
package final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    init() {}

    /// Adds to it.
    ///
    /// - Parameter amount: At least 0.
    package func increment(by amount: Int = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// What it has come to.
    package var value: Int { count.load(ordering: .relaxed) }
}

/// A number that goes up and down: open connections, queued work.
package final class Gauge: Sendable {
    private let current = Atomic<Int>(0)

    init() {}

    /// Makes it `value`.
    package func set(_ value: Int) { current.store(value, ordering: .relaxed) }

    /// Adds to it; a negative amount takes away.
    package func add(_ amount: Int) { current.wrappingAdd(amount, ordering: .relaxed) }

    package var value: Int { current.load(ordering: .relaxed) }
}

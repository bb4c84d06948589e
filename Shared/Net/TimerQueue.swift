/// Identifies a scheduled timer on its loop.
package struct TimerID: Hashable, Sendable {
    fileprivate let number: UInt64
}

/// Deadlines in order: a binary heap, with cancelled entries skipped when they surface.
///
/// A value without a clock, so that it is tested with any time.
struct TimerQueue<Work> {
    private struct Entry {
        let deadline: Int64
        let number: UInt64

        func isBefore(_ other: Entry) -> Bool {
            (deadline, number) < (other.deadline, other.number)
        }
    }

    private var heap: [Entry] = []
    private var works: [UInt64: Work] = [:]
    private var nextNumber: UInt64 = 0

    /// How many timers are waiting.
    var count: Int { works.count }

    /// The earliest deadline of a timer that has not been cancelled.
    var earliestDeadline: Int64? {
        mutating get {
            dropCancelled()
            return heap.first?.deadline
        }
    }

    /// Adds a timer; equal deadlines come out in the order of their adding.
    mutating func add(deadline: Int64, _ work: Work) -> TimerID {
        // Cancelled timers stay in the heap; rebuilding at twice the live count keeps it bounded.
        if heap.count > 64, heap.count > 2 * works.count {
            let live = heap.filter { works[$0.number] != nil }
            heap.removeAll(keepingCapacity: true)
            for entry in live { push(entry) }
        }
        let number = nextNumber
        nextNumber += 1
        works[number] = work
        push(Entry(deadline: deadline, number: number))
        return TimerID(number: number)
    }

    /// Forgets a timer; one that has fired or been cancelled already is no error.
    mutating func cancel(_ id: TimerID) {
        works[id.number] = nil
    }

    /// The work of the earliest timer due at `now`, which is removed.
    mutating func popDue(now: Int64) -> Work? {
        dropCancelled()
        guard let first = heap.first, first.deadline <= now else { return nil }
        popFirst()
        return works.removeValue(forKey: first.number)
    }

    private mutating func dropCancelled() {
        while let first = heap.first, works[first.number] == nil { popFirst() }
    }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func popFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

package import Storage
import Synchronization

/// A change log in memory, for several copies of a database in one test; its answers can be made to fail.
package final class MemoryChangeLog: ChangeLog {
    /// What becomes of an append.
    package enum Fate: Sendable {
        case done
        /// Nothing is appended, and that is told.
        case refused
        /// It is appended, and the answer is lost.
        case answerLost
        /// The answer is lost, and it arrives later, or never.
        case delayed
    }

    private struct State {
        var records: [ChangeRecord] = []
        var image: (mark: ChangeMark, bytes: [UInt8])?
        var delayed: [(record: ChangeRecord, after: ChangeMark)] = []
        var fate: @Sendable (ChangeRecord) -> Fate = { _ in .done }
        var isAway = false
        var isFull = false
        var publishes = 0
        var reads = 0
        var onRead: @Sendable () -> Void = {}
    }

    private let state = Mutex(State())

    package init() {}

    /// What happens to each record from now on.
    package func decide(_ fate: @escaping @Sendable (ChangeRecord) -> Fate) {
        state.withLock { $0.fate = fate }
    }

    /// Called for each question for records, when its answer is made and not given yet; it may block.
    package func onRead(_ action: @escaping @Sendable () -> Void) {
        state.withLock { $0.onRead = action }
    }

    /// Questions for records so far.
    package var reads: Int { state.withLock { $0.reads } }

    /// Whether it cannot be reached.
    package var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    /// Whether it takes only what is appended even then.
    package var isFull: Bool {
        get { state.withLock { $0.isFull } }
        set { state.withLock { $0.isFull = newValue } }
    }

    /// Records there are; those before the last image are kept, as many as `keptMax`.
    package var records: [ChangeRecord] { state.withLock { $0.records } }

    /// Images that were stored.
    package var publishes: Int { state.withLock { $0.publishes } }

    /// The oldest delayed append arrives.
    package func deliverDelayed() {
        state.withLock { state in
            guard !state.delayed.isEmpty else { return }
            let (record, mark) = state.delayed.removeFirst()
            if Self.last(state) == mark { state.records.append(record) }
        }
    }

    /// Forgets everything, as a server that lost its disk.
    package func wipe() {
        state.withLock {
            $0.records = []
            $0.image = nil
        }
    }

    /// Puts the history back to where it was after the record of that number, as a backup does.
    package func rewind(to number: Int64) {
        state.withLock { state in state.records.removeAll { $0.mark.number > number } }
    }

    package func latestImage() throws(ChangeLogError) -> (mark: ChangeMark, bytes: [UInt8])? {
        try reach()
        return state.withLock { $0.image }
    }

    package func records(after mark: ChangeMark) throws(ChangeLogError) -> [ChangeRecord]? {
        try reach()
        let (answer, onRead) = state.withLock { state in
            state.reads += 1
            return (Self.records(state, after: mark), state.onRead)
        }
        onRead()
        return answer
    }

    private static func records(_ state: State, after mark: ChangeMark) -> [ChangeRecord]? {
        if mark == .beginning { return state.records.first?.mark.number ?? 1 == 1 ? state.records : nil }
        guard let index = state.records.firstIndex(where: { $0.mark == mark }) else { return nil }
        // Few at a time, so that callers have to come again.
        return Array(state.records[(index + 1)...].prefix(3))
    }

    package func append(
        _ record: ChangeRecord,
        after mark: ChangeMark,
        evenWhenFull: Bool
    ) throws(ChangeLogError) -> Bool {
        try reach()
        if isFull, !evenWhenFull { throw .full("full") }
        let answer: Result<Bool, ChangeLogError> = state.withLock { state in
            func add() -> Bool {
                guard Self.last(state) == mark else { return false }
                state.records.append(record)
                return true
            }
            switch state.fate(record) {
            case .done: return .success(add())
            case .refused: return .failure(.unavailable("refused"))
            case .answerLost:
                _ = add()
                return .failure(.outcomeUnknown("lost"))
            case .delayed:
                state.delayed.append((record, mark))
                return .failure(.outcomeUnknown("late"))
            }
        }
        return try answer.get()
    }

    package func publish(
        _ image: UnsafeRawBufferPointer,
        _ record: ChangeRecord,
        after mark: ChangeMark
    ) throws(ChangeLogError) -> Bool {
        try reach()
        if isFull { throw .full("full") }
        let image = Array(image)
        return state.withLock { state in
            guard Self.last(state) == mark else { return false }
            state.records.append(record)
            state.records.removeFirst(max(0, state.records.count - Self.keptMax))
            state.image = (record.mark, image)
            state.publishes += 1
            return true
        }
    }

    /// Records that a new image leaves.
    package static let keptMax = 20

    private func reach() throws(ChangeLogError) {
        if isAway { throw .unavailable("away") }
    }

    private static func last(_ state: State) -> ChangeMark { state.records.last?.mark ?? .beginning }
}

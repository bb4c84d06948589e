import Synchronization

/// Who may write to an upload, of the requests to this instance: one at a time.
///
/// A further one waits a little, since a client whose connection has broken comes back before we know. A holder that
/// has received nothing for a while is told to leave; one that is alive keeps its place.
final class UploadLeases: Sendable {
    /// A holder is taken to be dead when nothing has arrived for so long, in milliseconds.
    static let idleMax: Int64 = 1000
    /// How long a request that writes waits for its turn, in milliseconds.
    static let waitMax: Int64 = 2000

    /// One request's right to write, or its place in front of the door.
    final class Lease: Sendable {
        fileprivate let lastActivity: Atomic<Int64>
        private let wasInterrupted = Atomic<Bool>(false)
        /// Ends when the holder is to leave.
        let interruption: AsyncStream<Void>
        private let interruptionEnd: AsyncStream<Void>.Continuation
        /// Ends when who waits has become the holder.
        fileprivate let turn: AsyncStream<Void>
        fileprivate let turnEnd: AsyncStream<Void>.Continuation
        /// Whether it goes before those that wait as well.
        fileprivate let takesOver: Bool

        fileprivate init(at time: Int64, takesOver: Bool = false) {
            lastActivity = Atomic(time)
            self.takesOver = takesOver
            (interruption, interruptionEnd) = AsyncStream.makeStream()
            (turn, turnEnd) = AsyncStream.makeStream()
        }

        /// Whether another request waits for the holder to leave.
        var isInterrupted: Bool { wasInterrupted.load(ordering: .acquiring) }

        fileprivate func interrupt() {
            wasInterrupted.store(true, ordering: .releasing)
            interruptionEnd.finish()
        }
    }

    private struct Entry {
        var holder: Lease
        /// The one request that waits.
        var waiter: Lease?
    }

    let clock: FilesClock
    private let entries = Mutex<[String: Entry]>([:])

    init(clock: FilesClock) { self.clock = clock }

    /// Runs `body` as the only one that writes to the upload.
    ///
    /// - Parameters:
    ///   - id: The upload's.
    ///   - takesOver: Whether a holder has to leave even if it is alive, and who waits as well.
    ///   - waitMax: How long it waits for its turn, in milliseconds.
    ///   - body: Calls `touch` when bytes arrive.
    /// - Throws: `FilesError.uploadLocked` when the holder stays or another request waits already; what `body` throws.
    func with<Value>(
        _ id: String,
        takesOver: Bool = false,
        waitMax: Int64 = waitMax,
        _ body: (Lease) async throws -> Value
    ) async throws -> Value {
        let lease = Lease(at: clock.monotonicMilliseconds(), takesOver: takesOver)
        try await acquire(id, lease, waitMax)
        defer { release(id) }
        touch(lease)
        return try await body(lease)
    }

    /// Runs `body` if nobody writes to the upload.
    func ifFree(_ id: String, _ body: () async throws -> Void) async rethrows {
        let lease = Lease(at: clock.monotonicMilliseconds())
        let isFree = entries.withLock { entries in
            guard entries[id] == nil else { return false }
            entries[id] = Entry(holder: lease)
            return true
        }
        guard isFree else { return }
        defer { release(id) }
        try await body()
    }

    /// The holder is alive.
    func touch(_ lease: Lease) { lease.lastActivity.store(clock.monotonicMilliseconds(), ordering: .relaxed) }

    /// When the holder is taken to be dead if nothing arrives until then, in milliseconds from now.
    func untilIdle(_ lease: Lease) -> Int64 {
        Self.idleMax - (clock.monotonicMilliseconds() - lease.lastActivity.load(ordering: .relaxed))
    }

    /// Whether a request waits for the upload.
    func isAwaited(_ id: String) -> Bool { entries.withLock { $0[id]?.waiter != nil } }

    // MARK: -

    private func acquire(_ id: String, _ lease: Lease, _ waitMax: Int64) async throws {
        let before = try entries.withLock { entries -> Entry? in
            guard let entry = entries[id] else {
                entries[id] = Entry(holder: lease)
                return nil
            }
            let mayWait = entry.waiter.map { lease.takesOver && !$0.takesOver } ?? true
            guard mayWait else { throw FilesError.uploadLocked }
            entries[id]?.waiter = lease
            return entry
        }
        guard let before else { return }
        let holder = before.holder
        // It finds that it is not the holder.
        before.waiter?.turnEnd.finish()
        if lease.takesOver { holder.interrupt() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in lease.turn {} }
            group.addTask { await self.watch(holder, waitMax) }
            await group.next()
            group.cancelAll()
        }
        try entries.withLock { entries in
            guard entries[id]?.holder !== lease else { return }
            if entries[id]?.waiter === lease { entries[id]?.waiter = nil }
            throw FilesError.uploadLocked
        }
    }

    /// Interrupts a holder that is idle; returns when the wait is over.
    private func watch(_ holder: Lease, _ waitMax: Int64) async {
        let start = clock.monotonicMilliseconds()
        while !Task.isCancelled {
            let untilIdle = untilIdle(holder)
            if untilIdle <= 0 { holder.interrupt() }
            let left = waitMax - (clock.monotonicMilliseconds() - start)
            guard left > 0 else { return }
            do { try await clock.sleep(untilIdle > 0 ? min(untilIdle, left) : left) } catch { return }
        }
    }

    private func release(_ id: String) {
        let next = entries.withLock { entries -> Lease? in
            guard let waiter = entries[id]?.waiter else {
                entries[id] = nil
                return nil
            }
            entries[id] = Entry(holder: waiter)
            return waiter
        }
        next?.turnEnd.finish()
    }
}

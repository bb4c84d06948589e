import Storage

/// Runs blocking file system calls on a thread that is not an event loop's.
actor DiskWorker {
    nonisolated let executor: QueueExecutor

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(executor: QueueExecutor) { self.executor = executor }

    /// Runs `body` on the worker's thread.
    func run<Value: Sendable>(_ body: @Sendable () throws -> Value) throws -> Value { try body() }
}

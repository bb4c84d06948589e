/// How a connection opens its file; every value has a default that suits a service's own database.
package struct ConnectionOptions: Sendable {
    /// What the connection may do.
    package enum Mode: Sendable {
        /// Reads and writes; makes the file, and its directory, when they are not there.
        case create
        /// Reads and writes a file that is there.
        case readWrite
        /// Reads a file that is there.
        case readOnly
    }

    /// What a commit waits for (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
    package enum Synchronous: String, Sendable {
        /// A commit is on the disk when it returns: for whatever somebody is told to be safe.
        case full = "FULL"
        /// A power loss may take the last commits, never the file's consistency: for what can be derived again.
        case normal = "NORMAL"
        /// A power loss may take everything: for a copy that is made anew at each start.
        case off = "OFF"
    }

    package var mode: Mode
    package var synchronous: Synchronous
    /// How long a statement waits for another connection's lock, in milliseconds; then `isBusy`.
    package var busyTimeoutMilliseconds: Int
    /// The write-ahead log's pages after which a commit also checkpoints; 0: never by itself.
    package var checkpointPages: Int
    /// The most bytes of the file that reads may map into memory; 0: none.
    package var memoryMapBytes: Int
    /// The most statements that the connection keeps prepared.
    package var cachedStatementsMax: Int

    /// Options with the given differences from the defaults.
    package init(
        mode: Mode = .create,
        synchronous: Synchronous = .full,
        busyTimeoutMilliseconds: Int = 5000,
        checkpointPages: Int = 1000,
        memoryMapBytes: Int = 0,
        cachedStatementsMax: Int = 128
    ) {
        self.mode = mode
        self.synchronous = synchronous
        self.busyTimeoutMilliseconds = busyTimeoutMilliseconds
        self.checkpointPages = checkpointPages
        self.memoryMapBytes = memoryMapBytes
        self.cachedStatementsMax = cachedStatementsMax
    }
}

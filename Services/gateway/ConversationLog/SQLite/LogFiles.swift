import Storage

/// Where the SQLite log lies, and how its connections are opened.
struct LogFiles: Sendable {
    /// A directory for the log's files.
    let directory: String

    /// Where it is with `store=sqlite:STORE`.
    static func directory(in store: String) -> String { store + "/gateway" }

    var log: String { directory + "/log.db" }
    var index: String { directory + "/index.db" }

    /// The one connection that writes entries: a commit is on the disk when it returns.
    func openWriter() throws -> Connection {
        let connection = try Connection(path: log, options: ConnectionOptions(synchronous: .full))
        // What is recalled is to leave the file, not only its table.
        try connection.setPragma("secure_delete", 1)
        try Migrator(LogSchema.logMigrations).migrate(connection)
        return connection
    }

    /// The one connection that writes the index, which can always be made again.
    func openIndexer() throws -> Connection {
        let connection = try Connection(path: index, options: ConnectionOptions(synchronous: .normal))
        try Migrator(LogSchema.indexMigrations).migrate(connection)
        return connection
    }

    /// A connection that reads the index alone.
    func openIndexReader() throws -> Connection {
        try Connection(path: index, options: ConnectionOptions(mode: .readOnly))
    }

    /// A connection that reads entries by way of the index.
    func openReader() throws -> Connection {
        // Mapped reads of entries that lie far apart take a half to a third of the time.
        let options = ConnectionOptions(mode: .readOnly, memoryMapBytes: 4 << 30)
        let connection = try Connection(path: log, options: options)
        try connection.run("ATTACH DATABASE ? AS positions", index)
        return connection
    }
}

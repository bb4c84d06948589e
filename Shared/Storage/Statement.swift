import CSQLite

/// One prepared statement (<https://www.sqlite.org/c3ref/stmt.html>).
///
/// Bind, `step()` until it is false, `reset()`, and again. It lives on its connection's thread, and may outlive the
/// connection, which then really closes when its last statement is gone.
///
/// Parameters are counted from 1, columns from 0, as in SQLite.
package final class Statement {
    private let handle: OpaquePointer
    /// The text that was prepared.
    package let sql: String
    /// Whether a step has been made and no reset since.
    package private(set) var isRunning = false

    /// - Parameters:
    ///   - database: An open connection's handle.
    ///   - sql: Exactly one statement.
    ///   - persistent: Whether it will be kept for long, so that SQLite allocates it elsewhere.
    init(database: OpaquePointer, sql: String, persistent: Bool) throws {
        var handle: OpaquePointer?
        var rest = ""
        let flags = persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
        let result = sql.withCString { text in
            var tail: UnsafePointer<CChar>?
            let result = sqlite3_prepare_v3(database, text, -1, flags, &handle, &tail)
            if let tail { rest = String(cString: tail) }
            return result
        }
        guard result == SQLITE_OK else { throw SQLiteError(handle: database, result: result, sql: sql) }
        guard let handle else { throw SQLiteError.misuse("no statement in the text", sql: sql) }
        self.handle = handle
        self.sql = sql
        guard rest.allSatisfy({ $0.isWhitespace || $0 == ";" }) else {
            throw SQLiteError.misuse("more than one statement in the text", sql: sql)
        }
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: - Running

    /// Makes the next row available.
    ///
    /// - Returns: False when there is no further row; a statement that returns no rows is then done.
    /// - Throws: `SQLiteError`; the statement is reset.
    package func step() throws -> Bool {
        let result = sqlite3_step(handle)
        switch result {
        case SQLITE_ROW:
            isRunning = true
            return true
        case SQLITE_DONE:
            isRunning = true
            return false
        default:
            let error = makeError(result)
            reset()
            throw error
        }
    }

    /// Ends the run, so that values can be bound again; bindings stay.
    package func reset() {
        // The result repeats the last step's error, which has been thrown.
        sqlite3_reset(handle)
        isRunning = false
    }

    /// Steps to the end and resets; for statements whose rows do not matter.
    package func run() throws {
        defer { reset() }
        while try step() {}
    }

    // MARK: - Binding

    /// The number of `?` in the text.
    package var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }

    /// Binds an integer.
    package func bind(_ value: Int64, at index: Int) throws {
        try check(sqlite3_bind_int64(handle, Int32(index), value))
    }

    /// Binds an integer.
    package func bind(_ value: Int, at index: Int) throws { try bind(Int64(value), at: index) }

    /// Binds a floating-point number; SQLite stores NaN as NULL.
    package func bind(_ value: Double, at index: Int) throws {
        try check(sqlite3_bind_double(handle, Int32(index), value))
    }

    /// Binds NULL.
    package func bindNull(at index: Int) throws {
        try check(sqlite3_bind_null(handle, Int32(index)))
    }

    /// Binds a copy of the text.
    package func bind(_ value: String, at index: Int) throws {
        var value = value
        try check(
            value.withUTF8 { bytes in
                // A null pointer would bind NULL, so an empty text is given some address.
                bytes.withMemoryRebound(to: CChar.self) {
                    $0.isEmpty
                        ? sqlite3_bind_text64(handle, Int32(index), "", 0, nil, UInt8(SQLITE_UTF8))
                        : sqlite3_bind_text64(
                            handle,
                            Int32(index),
                            $0.baseAddress,
                            UInt64($0.count),
                            transient,
                            UInt8(SQLITE_UTF8)
                        )
                }
            }
        )
    }

    /// Binds a copy of the bytes.
    package func bind(blob value: [UInt8], at index: Int) throws {
        guard !value.isEmpty else { return try check(sqlite3_bind_zeroblob(handle, Int32(index), 0)) }
        try check(
            value.withUnsafeBytes { bytes in
                sqlite3_bind_blob64(handle, Int32(index), bytes.baseAddress, UInt64(bytes.count), transient)
            }
        )
    }

    /// Binds UTF-8 text without copying it (`SQLITE_STATIC`).
    ///
    /// - Parameter text: Must stay where it is, unchanged, until the statement has been reset *and* bound again or
    ///   released.
    package func bind(text: UnsafeRawBufferPointer, at index: Int) throws {
        let address = text.baseAddress.map { $0.assumingMemoryBound(to: CChar.self) }
        try check(
            address == nil
                ? sqlite3_bind_text64(handle, Int32(index), "", 0, transient, UInt8(SQLITE_UTF8))
                : sqlite3_bind_text64(handle, Int32(index), address, UInt64(text.count), nil, UInt8(SQLITE_UTF8))
        )
    }

    /// Binds bytes without copying them (`SQLITE_STATIC`); as `bind(text:at:)`.
    package func bind(blob: UnsafeRawBufferPointer, at index: Int) throws {
        guard let address = blob.baseAddress, !blob.isEmpty else {
            return try check(sqlite3_bind_zeroblob(handle, Int32(index), 0))
        }
        try check(sqlite3_bind_blob64(handle, Int32(index), address, UInt64(blob.count), nil))
    }

    /// Binds `values` to all parameters, in order.
    ///
    /// - Throws: `SQLiteError` misuse when their number is not the number of `?`, so that none keeps an old value.
    package func bind(_ values: [(any Bindable)?]) throws {
        guard values.count == parameterCount else {
            throw SQLiteError.misuse("\(values.count) values for \(parameterCount) parameters", sql: sql)
        }
        for (offset, value) in values.enumerated() {
            if let value { try value.bind(to: self, at: offset + 1) } else { try bindNull(at: offset + 1) }
        }
    }

    /// Sets every parameter to NULL, releasing what is bound.
    package func clearBindings() { sqlite3_clear_bindings(handle) }

    // MARK: - Columns of the current row

    /// The current row, valid until the next `step()` or `reset()`.
    package var row: Row { Row(handle) }

    private func check(_ result: Int32) throws {
        guard result == SQLITE_OK else { throw makeError(result) }
    }

    private func makeError(_ result: Int32) -> SQLiteError {
        SQLiteError(handle: sqlite3_db_handle(handle), result: result, sql: sql)
    }

    // SQLITE_TRANSIENT: SQLite copies before the call returns. The C macro is a cast that Swift does not import.
    private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}

import CSQLite
package import Core

/// A failed SQLite call: what it was, and the result code with its reason
/// (<https://www.sqlite.org/rescode.html>).
package struct SQLiteError: Error, Sendable, CustomStringConvertible {
    /// The primary result code, such as 19 (`SQLITE_CONSTRAINT`).
    package let code: Int32
    /// The extended result code, such as 2067 (`SQLITE_CONSTRAINT_UNIQUE`).
    package let extendedCode: Int32
    /// SQLite's text, in English.
    package let message: String
    /// The statement, with `?` in place of values; `nil` when none was involved.
    package let sql: String?

    package init(extendedCode: Int32, message: String, sql: String? = nil) {
        self.code = extendedCode & 0xff
        self.extendedCode = extendedCode
        self.message = message
        self.sql = sql
    }

    /// The last error of `handle`; its text is only there until the next call.
    init(handle: OpaquePointer?, result: Int32, sql: String?) {
        let text = handle.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(result)
        self.init(
            extendedCode: handle.map { sqlite3_extended_errcode($0) } ?? result,
            message: text.map { String(cString: $0) } ?? "unknown error",
            sql: sql
        )
    }

    /// A call that the program should not have made.
    static func misuse(_ message: String, sql: String? = nil) -> SQLiteError {
        SQLiteError(extendedCode: SQLITE_MISUSE, message: message, sql: sql)
    }

    /// The disk or the database's own page limit is full: nothing was stored; answer 507.
    package var isFull: Bool { code == SQLITE_FULL }
    /// Another connection kept its lock longer than the busy time-out: may be tried again.
    package var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }
    /// A constraint of the schema refused the row.
    package var isConstraint: Bool { code == SQLITE_CONSTRAINT }
    /// A row with that unique or primary key is already there.
    package var isUniqueViolation: Bool {
        extendedCode == Self.constraint(8) || extendedCode == Self.constraint(6) || extendedCode == Self.constraint(10)
    }
    /// A foreign key points to a row that is not there.
    package var isForeignKeyViolation: Bool { extendedCode == Self.constraint(3) }
    /// The file is damaged, or is no database.
    package var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
    /// The connection or the file may not be written to.
    package var isReadOnly: Bool { code == SQLITE_READONLY }
    /// Changes do not fit the rows that they were to be applied to.
    package var isAborted: Bool { code == SQLITE_ABORT }
    /// The call was wrong: a closed database, a transaction within a transaction, a missing binding.
    package var isMisuse: Bool { code == SQLITE_MISUSE }

    /// `SQLITE_CONSTRAINT_…`, whose macros Swift does not import: 3 FOREIGNKEY, 6 PRIMARYKEY, 8 UNIQUE, 10 ROWID.
    private static func constraint(_ kind: Int32) -> Int32 { SQLITE_CONSTRAINT | kind << 8 }

    package var description: String {
        let statement = sql.map { " in: \($0)" } ?? ""
        return "SQLite error \(extendedCode): \(message)\(statement)"
    }
}

extension SQLiteError: ProblemConvertible {
    /// 507 when full, 503 when busy, else 500; never with SQLite's text.
    package var problem: Problem {
        if isFull { return Problem(507, .storageFull, "the store is full; nothing was saved") }
        if isBusy { return .unavailable("the store is busy") }
        return Problem(500, .internalError, "")
    }
}

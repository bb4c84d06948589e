import CSQLite

/// What a prepared statement has done since it was prepared (<https://www.sqlite.org/c3ref/stmt_status.html>).
package struct StatementStatistics: Sendable, Equatable {
    package let sql: String
    /// How often it was run.
    package let runs: Int
    /// Instructions of SQLite's virtual machine: its work, whatever the machine and what else it does.
    package let steps: Int
}

extension Connection {
    /// What the statements have done that are prepared now; for tests of what something costs.
    package func statistics() throws -> [StatementStatistics] {
        let database = try openHandle()
        var result: [StatementStatistics] = []
        var statement = sqlite3_next_stmt(database, nil)
        while let current = statement {
            result.append(
                StatementStatistics(
                    sql: String(cString: sqlite3_sql(current)),
                    runs: Int(sqlite3_stmt_status(current, SQLITE_STMTSTATUS_RUN, 0)),
                    steps: Int(sqlite3_stmt_status(current, SQLITE_STMTSTATUS_VM_STEP, 0))
                )
            )
            statement = sqlite3_next_stmt(database, current)
        }
        return result
    }

    /// How SQLite would run a statement, a line for each step (<https://www.sqlite.org/eqp.html>).
    package func queryPlan(_ sql: String) throws -> [String] {
        let explained = try prepare("EXPLAIN QUERY PLAN " + sql)
        var lines: [String] = []
        while try explained.step() { lines.append(explained.row.string(3)) }
        return lines
    }
}

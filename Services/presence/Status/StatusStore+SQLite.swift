import Core
import Storage

/// The statuses and last times in presence's SQLite file.
final class SQLiteStatusStore: StatusStore {
    private let database: Database
    private let fence: Fence

    /// - Parameters:
    ///   - database: Presence's, which others use too.
    ///   - fence: Refuses what a former leader writes.
    init(_ database: Database, fence: Fence = .none) {
        self.database = database
        self.fence = fence
    }

    func statuses() async throws -> [String: ChosenStatus] {
        let rows = try await database.read { db in
            try db.rows("SELECT user_id, status FROM user_status") { ($0.string(0), $0.string(1)) }
        }
        // A status that a newer version may have written counts as `online`, which needs no entry.
        let known = rows.compactMap { userID, status in ChosenStatus(rawValue: status).map { (userID, $0) } }
        return Dictionary(known) { first, _ in first }
    }

    func save(_ status: ChosenStatus, of userID: String) async throws {
        let now = Timestamp.now().milliseconds
        try await database.write { [fence] db in
            try fence.check(db)
            guard status != .online else {
                try db.run("DELETE FROM user_status WHERE user_id = ?", userID)
                return
            }
            try db.run(
                """
                INSERT INTO user_status (user_id, status, updated_at) VALUES (?, ?, ?)
                ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at
                """,
                userID,
                status.rawValue,
                now
            )
        }
    }

    func record(lastSeen: [String: Timestamp]) async throws {
        try await database.write { [fence] db in
            try fence.check(db)
            for (userID, time) in lastSeen {
                try db.run(
                    """
                    INSERT INTO user_last_seen (user_id, at) VALUES (?, ?)
                    ON CONFLICT (user_id) DO UPDATE SET at = max(at, excluded.at)
                    """,
                    userID,
                    time.milliseconds
                )
            }
        }
    }

    func lastSeen(of userID: String) async throws -> Timestamp? {
        try await database.read { db in
            try db.first("SELECT at FROM user_last_seen WHERE user_id = ?", userID) {
                Timestamp(milliseconds: $0.int64(0))
            }
        }
    }

    func ping() async throws {
        _ = try await database.read { db in try db.first("SELECT 1") { $0.int(0) } }
    }
}

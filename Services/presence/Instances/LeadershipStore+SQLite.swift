import Storage

/// Leadership in presence's own database, so that a term's end and what its leader writes are steps of one history.
final class SQLiteLeadershipStore: LeadershipStore {
    /// More registrations than one leader gives out.
    static let registrationsMax = 1 << 24

    private let database: Database

    /// - Parameter database: A copy of presence's shared database.
    init(_ database: Database) { self.database = database }

    func record() async throws -> LeadershipRecord? {
        try await database.read { try Self.record($0) }
    }

    func claim(
        after record: LeadershipRecord?,
        url: String,
        firstRegistration: Int
    ) async throws -> LeadershipTerm? {
        try await database.write { db in
            guard try Self.record(db) == record else { return nil }
            let former = try db.first("SELECT first_registration FROM leadership WHERE id = 1") { $0.int(0) }
            let first = max(firstRegistration, former.map { $0 + Self.registrationsMax } ?? 0)
            let term = (record?.term ?? 0) + 1
            try db.run(
                """
                INSERT INTO leadership (id, term, url, beat, first_registration) VALUES (1, ?, ?, 1, ?)
                ON CONFLICT (id) DO UPDATE SET term = excluded.term, url = excluded.url, beat = excluded.beat,
                    first_registration = excluded.first_registration
                """,
                term,
                url,
                first
            )
            return LeadershipTerm(number: term, firstRegistration: first)
        }
    }

    func renew(_ term: Int64) async throws -> Bool {
        try await database.write { db in
            try db.run("UPDATE leadership SET beat = coalesce(beat, 0) + 1 WHERE id = 1 AND term = ?", term) == 1
        }
    }

    func resign(_ term: Int64) async throws {
        try await database.write { db in
            try db.run("UPDATE leadership SET beat = NULL WHERE id = 1 AND term = ?", term)
        }
    }

    private static func record(_ db: Connection) throws -> LeadershipRecord? {
        try db.first("SELECT term, url, beat FROM leadership WHERE id = 1") { row in
            LeadershipRecord(term: row.int64(0), url: row.string(1), beat: row.optionalInt64(2))
        }
    }
}

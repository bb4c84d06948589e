import Storage

/// The two files of the SQLite log.
///
/// `log.db` (synchronous FULL) holds the entries in a bare table, so that a commit dirties the fewest pages; the
/// index that finds an entry by conversation and sequence lies in `index.db` (NORMAL: it can be made again) and is
/// written behind, in sorted runs. Measured against one table with an index: 2 to 4 times less CPU, and commits
/// that do not wait for scattered pages.
enum LogSchema {
    static let logMigrations = [
        Migration("entries, conversations, members") { connection in
            try connection.execute(
                """
                CREATE TABLE log (
                    i INTEGER PRIMARY KEY,   -- order of appending
                    c INTEGER NOT NULL,      -- conversation
                    q INTEGER NOT NULL,      -- seq in it
                    h INTEGER NOT NULL,      -- 64 bits of SHA-256 of sender and client_id; 0 without client_id
                    b TEXT NOT NULL          -- the frame without its head
                );
                CREATE TABLE conversation (c INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                CREATE TABLE member (
                    u TEXT NOT NULL, c INTEGER NOT NULL,
                    delivered INTEGER NOT NULL,
                    PRIMARY KEY (u, c)
                ) WITHOUT ROWID;
                CREATE INDEX member_of_conversation ON member (c);
                """
            )
        }
    ]

    static let indexMigrations = [
        Migration("positions of entries") { connection in
            try connection.execute(
                """
                CREATE TABLE x (
                    i INTEGER PRIMARY KEY,   -- conversation << 24 | seq
                    r INTEGER NOT NULL,      -- row in log
                    h INTEGER NOT NULL
                );
                CREATE TABLE watermark (id INTEGER PRIMARY KEY CHECK (id = 1), r INTEGER NOT NULL);
                INSERT INTO watermark VALUES (1, 0);
                """
            )
        }
    ]

    /// Bits of a sequence in the index's key.
    static let sequenceBits: Int64 = 24
    /// The longest conversation: 16 million entries; an append beyond it is refused.
    static let sequenceMax = 1 << 24 - 1

    static func indexKey(conversation: Int64, sequence: Int) -> Int64 {
        conversation << sequenceBits | Int64(sequence)
    }
}

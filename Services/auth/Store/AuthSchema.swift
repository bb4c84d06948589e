import Storage

/// The steps of auth's database, oldest first.
///
/// Only ever appended to. Times are milliseconds since 1970. A deleted account stays as a tombstone, so that its id is
/// never given out again.
enum AuthSchema {
    static let migrations: [Migration] = [
        Migration(
            "accounts and sessions",
            sql: """
                CREATE TABLE account (
                    user_id TEXT PRIMARY KEY,
                    user_name TEXT NOT NULL,
                    user_type TEXT NOT NULL CHECK (user_type IN ('Kehu', 'Kefu')),
                    is_admin INTEGER NOT NULL DEFAULT 0 CHECK (is_admin = 0 OR user_type = 'Kefu'),
                    is_disabled INTEGER NOT NULL DEFAULT 0,
                    capacity INTEGER CHECK (capacity IS NULL OR user_type = 'Kefu'),
                    password_hash TEXT,
                    created_at INTEGER NOT NULL,
                    deleted_at INTEGER
                ) STRICT;
                CREATE TABLE session (
                    hash BLOB PRIMARY KEY,
                    user_id TEXT NOT NULL REFERENCES account (user_id),
                    created_at INTEGER NOT NULL,
                    used_at INTEGER NOT NULL,
                    expires_at INTEGER NOT NULL,
                    ends_at INTEGER NOT NULL,
                    replaced_by BLOB
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX session_by_user ON session (user_id, created_at);
                CREATE INDEX session_by_expiry ON session (expires_at);
                CREATE TABLE revocation (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    session_hash BLOB NOT NULL,
                    replaced_by BLOB,
                    ended_at INTEGER NOT NULL
                ) STRICT;
                """
        ),
        Migration(
            "properties",
            sql: "CREATE TABLE property (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"
        ),
    ]
}

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
        Migration(
            "account revisions, guests, the audit trail",
            sql: """
                ALTER TABLE account ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
                ALTER TABLE account ADD COLUMN expires_at INTEGER;
                CREATE INDEX account_by_expiry ON account (expires_at) WHERE expires_at IS NOT NULL;
                CREATE INDEX account_by_type ON account (user_type, user_id) WHERE deleted_at IS NULL;
                CREATE INDEX account_administrators ON account (user_id) WHERE is_admin = 1;
                ALTER TABLE session ADD COLUMN remote_address TEXT NOT NULL DEFAULT '';
                ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
                ALTER TABLE session ADD COLUMN successor_nonce BLOB;
                CREATE TABLE revocation_of_users (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    session_hash BLOB,
                    replaced_by BLOB,
                    user_id TEXT,
                    at INTEGER NOT NULL,
                    CHECK ((session_hash IS NULL) <> (user_id IS NULL))
                ) STRICT;
                INSERT INTO revocation_of_users
                    SELECT number, session_hash, replaced_by, NULL, ended_at FROM revocation;
                DROP TABLE revocation;
                ALTER TABLE revocation_of_users RENAME TO revocation;
                CREATE TABLE exchanged_token (
                    token BLOB PRIMARY KEY,
                    expires_at INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX exchanged_token_by_expiry ON exchanged_token (expires_at);
                CREATE TABLE audit (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    at INTEGER NOT NULL,
                    event TEXT NOT NULL,
                    is_anonymous INTEGER NOT NULL,
                    actor_id TEXT,
                    user_id TEXT,
                    conversation_id TEXT,
                    remote_address TEXT,
                    request_id TEXT,
                    details TEXT,
                    report_id TEXT UNIQUE
                ) STRICT;
                CREATE INDEX audit_by_time ON audit (at);
                CREATE INDEX audit_by_event ON audit (event, at);
                CREATE INDEX audit_by_actor ON audit (actor_id, at);
                CREATE INDEX audit_by_user ON audit (user_id, at);
                CREATE INDEX audit_by_conversation ON audit (conversation_id, at);
                CREATE INDEX audit_by_share ON audit (is_anonymous, at);
                CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
                BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
                """
        ),
        Migration(
            "disabled accounts by id",
            sql: "CREATE INDEX account_disabled ON account (user_id) WHERE is_disabled = 1"
        ),
    ]
}

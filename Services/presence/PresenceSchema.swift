import Storage

/// Presence's database, a file or a copy of what all instances share, and the steps of its schema, oldest first.
///
/// Only ever appended to. Times are milliseconds since 1970.
enum PresenceSchema {
    /// The database's, among the services.
    static let name = "presence"
    /// With `store=sqlite:DIR`.
    static let file = "presence.sqlite"

    static let migrations = [
        Migration(
            "1 status and last_seen",
            sql: """
                CREATE TABLE user_status (
                    user_id TEXT PRIMARY KEY, status TEXT NOT NULL, updated_at INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE user_last_seen (
                    user_id TEXT PRIMARY KEY, at INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """
        ),
        Migration(
            "2 routing",
            sql: """
                CREATE TABLE routed_conversation (
                    conversation_id TEXT PRIMARY KEY,
                    customer_id TEXT NOT NULL,
                    state TEXT NOT NULL,
                    agent_id TEXT,
                    last_agent_id TEXT,
                    named_agent_id TEXT,
                    avoided_agent_id TEXT,
                    is_requeued INTEGER NOT NULL,
                    ticket INTEGER NOT NULL,
                    queued_at INTEGER,
                    reason TEXT NOT NULL,
                    decision_number INTEGER NOT NULL,
                    is_pending INTEGER NOT NULL,
                    logged_seq INTEGER NOT NULL,
                    is_awaiting_response INTEGER NOT NULL,
                    need_seq INTEGER,
                    need_agent_id TEXT,
                    need_requested_by TEXT,
                    need_requester_type TEXT,
                    is_live INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX live_conversation ON routed_conversation (conversation_id) WHERE is_live = 1;
                CREATE TABLE routing_decision (
                    conversation_id TEXT NOT NULL,
                    number INTEGER NOT NULL,
                    decision_id TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    agent_id TEXT,
                    former_agent_id TEXT,
                    position INTEGER,
                    reason TEXT NOT NULL,
                    requested_by TEXT,
                    note TEXT,
                    seq INTEGER,
                    at INTEGER NOT NULL,
                    PRIMARY KEY (conversation_id, number)
                ) STRICT, WITHOUT ROWID;
                """
        ),
        Migration(
            "3 leadership",
            sql: """
                CREATE TABLE leadership (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    term INTEGER NOT NULL,
                    url TEXT NOT NULL,
                    beat INTEGER,
                    first_registration INTEGER NOT NULL
                ) STRICT;
                """
        ),
    ]

    /// Who may have the file open: two presences would each know half of the gateways.
    static let ownership = Database.Ownership.exclusiveOwner(
        advice: "Another presence service runs on this file; stop it first, or use Redis."
    )
}

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
        },
        Migration("memberships that end, routing, outbox") { connection in
            try connection.execute(membershipsThatEnd + routing + outbox)
        },
        Migration("where memberships begin") { connection in
            // Where the last one began; NULL for those from before.
            try connection.execute("ALTER TABLE member ADD COLUMN start INTEGER")
        },
    ]

    private static let membershipsThatEnd = """
        ALTER TABLE member ADD COLUMN read INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE member ADD COLUMN ended INTEGER;     -- seq of the entry that ended it; NULL while a member
        -- What was taken before there were receipts counts as read.
        UPDATE member SET read = delivered;
        DROP INDEX member_of_conversation;
        CREATE INDEX member_now ON member (c) WHERE ended IS NULL;
        -- An agent's past conversations, however many, are in neither of these once all of them was delivered.
        CREATE INDEX member_active ON member (u) WHERE ended IS NULL;
        CREATE INDEX member_owed ON member (u) WHERE delivered < ended;

        """

    /// Conversations from before have no agent, and stand in lists where their last entry does.
    private static let routing = """
        ALTER TABLE conversation ADD COLUMN customer TEXT;     -- NULL between two agents
        ALTER TABLE conversation ADD COLUMN agent TEXT;        -- the assigned one
        ALTER TABLE conversation ADD COLUMN last_agent TEXT;   -- assigned now or last; between two agents the first
        ALTER TABLE conversation ADD COLUMN peer TEXT;         -- between two agents the second
        ALTER TABLE conversation ADD COLUMN routed INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE conversation ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE conversation ADD COLUMN closed_at INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE conversation ADD COLUMN state TEXT NOT NULL DEFAULT 'closed';
        ALTER TABLE conversation ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;   -- row in log
        UPDATE conversation SET customer = substr(name, 3) WHERE name GLOB 'c:*';
        UPDATE conversation SET state = 'open',
            last_agent = substr(name, 3, instr(substr(name, 3), ':') - 1),
            peer = substr(name, 3 + instr(substr(name, 3), ':'))
        WHERE name GLOB 'd:*:*';
        UPDATE conversation SET changed = last.i
        FROM (SELECT c, max(i) AS i FROM log GROUP BY c) AS last WHERE last.c = conversation.c;
        CREATE INDEX conversation_listed ON conversation (state, changed) WHERE customer IS NOT NULL;
        CREATE INDEX conversation_of_agent ON conversation (last_agent, state, changed) WHERE last_agent IS NOT NULL;
        CREATE INDEX conversation_of_peer ON conversation (peer, changed) WHERE peer IS NOT NULL;

        """

    /// Bounded by what it is about: a conversation has one `route`, an assignment one `answered`, a message one
    /// `revoke` for a file.
    private static let outbox = """
        CREATE TABLE outbox (
            n INTEGER PRIMARY KEY AUTOINCREMENT,   -- never given out again
            kind TEXT NOT NULL,                    -- route, answered, revoke
            c INTEGER NOT NULL,
            q INTEGER NOT NULL,                    -- the entry that made it due
            user TEXT, user_type TEXT,             -- route: who asks
            agent TEXT,                            -- route: whom they named; answered: who did
            file TEXT, source TEXT                 -- revoke
        );
        CREATE UNIQUE INDEX outbox_route ON outbox (c) WHERE kind = 'route';
        CREATE UNIQUE INDEX outbox_revoke ON outbox (source, file) WHERE kind = 'revoke';
        """

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

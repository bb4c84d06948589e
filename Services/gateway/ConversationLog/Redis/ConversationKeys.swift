import Redis

/// Where a conversation lies in Redis: all of it in one slot, that of its name.
struct ConversationKeys {
    /// The stream of entries: ids `0-SEQ`, field `e` the stored text.
    let stream: RedisArgument
    /// Sequences by idempotency digest.
    let identities: RedisArgument
    /// The state and its version.
    let state: RedisArgument
    /// Positions by user.
    let members: RedisArgument
    /// Masked texts of recalled messages by sequence: the stream has a hole there.
    let masked: RedisArgument
    /// Work that is due, by number; but a need of an agent is part of the state.
    let due: RedisArgument

    init(_ conversationID: String) {
        let key = "{\(conversationID)}"
        stream = .key(key)
        identities = .key(key + ":i")
        state = .key(key + ":s")
        members = .key(key + ":m")
        masked = .key(key + ":x")
        due = .key(key + ":o")
    }

    // MARK: - Functions

    /// Entries that change no state; `entries` are digests and texts in turn.
    func append(version: Int, _ entries: [RedisArgument]) -> RedisCommand {
        call("messagelog_append_1", [stream, identities, state], [.integer(version)] + entries)
    }

    func look(digest: [UInt8]?) -> RedisCommand {
        call("messagelog_look_1", [stream, identities, state, due], [.bytes(digest ?? [])])
    }

    func position(of user: String) -> RedisCommand {
        call("messagelog_position_1", [stream, state, members], [.text(user)])
    }

    func summary(for user: String) -> RedisCommand {
        call("messagelog_summary_1", [stream, state, members], [.text(user)])
    }

    func move(_ receipt: GatheredReceipt, of user: String, version: Int) -> RedisCommand {
        call(
            "messagelog_move_1",
            [stream, state, members],
            [
                .text(user), .integer(Self.exact(receipt.delivered)), .integer(Self.exact(receipt.read)),
                .integer(version),
            ]
        )
    }

    func read(_ range: EntryRange, limit: Int, bytesMax: Int) -> RedisCommand {
        let bound: (RedisArgument, Int) =
            switch range {
            case .after(let sequence): ("after", sequence)
            case .before(let sequence): ("before", sequence ?? .max)
            }
        return call(
            "messagelog_read_1",
            [stream, masked],
            [bound.0, .integer(Self.exact(bound.1)), .integer(Self.exact(limit)), .integer(Self.exact(bytesMax))]
        )
    }

    /// One entry.
    func read(_ sequence: Int) -> RedisCommand { read(.after(sequence - 1), limit: 1, bytesMax: 1) }

    /// - Parameters:
    ///   - digest: With the entry's text; `nil` without an entry.
    ///   - state: The new state in JSON; empty when it stays.
    func store(
        _ plan: LogPlan,
        digest: [UInt8]?,
        text: [UInt8],
        state newState: [UInt8],
        mask: [UInt8]
    ) throws -> RedisCommand {
        call(
            "messagelog_store_1",
            [stream, identities, state, members, masked, due],
            [.bytes(try plan.json()), .bytes(digest ?? []), .bytes(text), .bytes(newState), .bytes(mask)]
        )
    }

    private func call(_ name: String, _ keys: [RedisArgument], _ arguments: [RedisArgument]) -> RedisCommand {
        RedisCommand("FCALL", [.text(name), .integer(keys.count)] + keys + arguments)
    }

    /// Within what Lua's numbers hold exactly; no conversation comes near it.
    private static func exact(_ number: Int) -> Int { min(max(number, -(1 << 40)), 1 << 40) }
}

import Contracts
import Core
import Net
import Redis
import Storage

/// Brings the log of an embedded installation into Redis, with the same sequences, texts, positions and places.
///
/// Every step may be done again, so an import that was killed is run again from its beginning; until one has come to
/// its end, `LogIndex.importing` keeps gateways from the half of a log that is there.
struct LogImport {
    /// How long steps are repeated while Redis does not answer.
    private static let insistence = Duration.seconds(30)
    private static let pause = Duration.milliseconds(200)
    /// Between two lines of progress.
    private static let reportInterval = Duration.seconds(1)

    let source: ImportSource
    let core: RedisLogCore
    /// The target's number, of a server with several databases.
    let database: Int
    /// Gets lines for the operator.
    let report: (String) -> Void

    /// The target's commands, on a client of their own.
    static func makeCore(_ url: RedisURL, loop: EventLoop, log: Log) -> RedisLogCore {
        var configuration = RedisConfiguration()
        configuration.clientName = "gateway-import"
        configuration.libraries = [.messageLogImport]
        configuration.log = log
        return RedisLogCore(
            loop: loop,
            client: RedisCluster(url, loop: loop, configuration: configuration),
            intervalMilliseconds: 0,
            log: log,
            committed: { _ in },
            moved: { _ in }
        )
    }

    /// Does all of it.
    ///
    /// - Throws: `ImportRefusal` when it must not be done, or has not come out right; `SQLiteError`, `RedisError`.
    func run() async throws {
        let identity = try source.identity()
        try await claim(identity)
        // What is due is taken over anew: the source may have been used since an earlier attempt.
        _ = try await send([RedisCommand("DEL", LogIndex.outbox)])
        try await copyEntries()
        try await copyConversations()
        try await copyMembers()
        try await copyOutbox()
        try await verify()
        _ = try await send([RedisCommand("SET", LogIndex.numbers, .integer(try source.lastNumber()))])
        _ = try await send([RedisCommand("HSET", LogIndex.importing, "state", .text(ImportState.done.rawValue))])
        report("imported")
    }

    // MARK: - The target

    /// Marks the target as being filled from this source.
    private func claim(_ identity: String) async throws {
        let found = try await send([
            RedisCommand("EXISTS", LogIndex.numbers),
            RedisCommand("HMGET", LogIndex.importing, "state", "source"),
            RedisCommand("CLIENT", "LIST"),
        ])
        let earlier = found[1].elements ?? []
        switch earlier.first?.text.flatMap(ImportState.init(rawValue:)) {
        case .done:
            throw ImportRefusal("the target has an earlier import's log (\(try await contents())); nothing is merged")
        case .begun:
            guard earlier.last?.text == identity else {
                throw ImportRefusal("the target has a part of another installation's log; empty it, or finish that one")
            }
            report("goes on with an import that has not come to its end")
        case nil:
            guard found[0] == .integer(0) else {
                throw ImportRefusal("the target has a log already (\(try await contents())); nothing is merged")
            }
            try refuseGateways(found[2].text ?? "")
            let mark = RedisCommand(
                "HSET",
                LogIndex.importing,
                "state",
                .text(ImportState.begun.rawValue),
                "source",
                .text(identity)
            )
            _ = try await send([mark])
        }
    }

    /// A gateway that runs has seen an empty log, and would go on with one.
    private func refuseGateways(_ clients: String) throws {
        let isUsed = clients.split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.contains("name=\(RedisConversationLog.clientName)") && words.contains("db=\(database)")
        }
        if isUsed { throw ImportRefusal("a gateway has the target open: stop it first") }
    }

    private func contents() async throws -> String {
        let lists = RoutingState.allCases.map { RedisCommand("ZCARD", LogIndex.list($0)) }
        let counts = try await send(lists).map { $0.integer ?? 0 }
        return zip(RoutingState.allCases, counts).map { "\($1) conversations \($0.rawValue)" }.joined(separator: ", ")
    }

    /// Sends steps in one pipeline and waits for all; what may be lost with a connection is sent again.
    private func send(_ commands: [RedisCommand]) async throws(RedisError) -> [RESPValue] {
        let end = ContinuousClock.now + Self.insistence
        while true {
            do {
                return try await core.answers(commands)
            } catch {
                if case .server = error { throw error }
                guard ContinuousClock.now < end else { throw error }
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    // MARK: - Copying

    private func copyEntries() async throws {
        let count = try source.entriesCount()
        var (row, done) = (Int64(0), 0)
        var reported = ContinuousClock.now
        report("\(count) entries to copy")
        while let part = try source.entries(after: row) {
            // A conversation's entries go in one step, and the next part's after it: their order stays.
            let groups = Dictionary(grouping: part.entries, by: \.conversationID)
            _ = try await send(groups.map { ConversationKeys($0.key).importEntries($0.value) })
            row = part.last
            done += part.entries.count
            if ContinuousClock.now - reported >= Self.reportInterval {
                reported = .now
                report("\(done) of \(count) entries")
            }
        }
        guard done == count else { throw ImportRefusal("\(count - done) entries are of no conversation: damaged") }
        report("\(done) entries")
    }

    private func copyConversations() async throws {
        var (number, done) = (Int64(0), 0)
        while true {
            let part = try source.conversations(after: number)
            guard let last = part.last else { break }
            _ = try await send(try part.flatMap(commands))
            number = last.number
            done += part.count
        }
        guard try done == source.conversationsCount() else { throw ImportRefusal("conversations cannot be read") }
        report("\(done) conversations")
    }

    private func commands(_ conversation: ImportSource.Conversation) throws -> [RedisCommand] {
        let keys = ConversationKeys(conversation.name)
        let stored = StoredConversation(
            conversation.state,
            needNumber: conversation.needNumber,
            place: conversation.place
        )
        let entry = LogIndex.Entry(
            number: conversation.place,
            version: Self.version,
            conversationID: conversation.name
        )
        return [
            RedisCommand(
                "HSET",
                keys.state,
                "v",
                .integer(Self.version),
                "s",
                .bytes(try stored.json()),
                "a",
                .text(conversation.state.agent ?? "")
            ), RedisCommand("DEL", keys.due),
        ] + LogIndex.lists(conversation.name, conversation.state).map { entry.put(into: $0) }
    }

    /// Every conversation's: its entries have made its state, all of them before Redis had it.
    private static let version = 1

    private func copyMembers() async throws {
        var (user, number, done) = ("", Int64(0), 0)
        while true {
            let part = try source.members(after: user, number)
            guard let last = part.last else { break }
            _ = try await send(part.flatMap(commands))
            (user, number) = (last.user, last.number)
            done += part.count
        }
        report("\(done) memberships")
    }

    private func commands(_ member: ImportSource.Member) -> [RedisCommand] {
        let place = "\(member.delivered) \(member.read) \(member.ended ?? -1) \(member.start)"
        let keys = ConversationKeys(member.conversationID)
        let store = RedisCommand("HSET", keys.members, .text(member.user), .text(place))
        // Whom nothing is owed any more would only be taken out again.
        if let ended = member.ended, member.delivered >= ended { return [store] }
        return [store, LogIndex.join(member.user, member.conversationID, version: Self.version)]
    }

    private func copyOutbox() async throws {
        var (number, done) = (Int64(0), 0)
        while true {
            let part = try source.outbox(after: number)
            guard let last = part.last else { break }
            _ = try await send(try part.flatMap { try commands($0.item, of: $0.conversationID) })
            number = last.item.number
            done += part.count
        }
        report("\(done) items of the outbox")
    }

    private func commands(_ item: OutboxItem, of conversationID: String) throws -> [RedisCommand] {
        let number = Int(item.number)
        let entry = LogIndex.Entry(number: number, version: Self.version, conversationID: conversationID)
        let put = entry.put(into: LogIndex.outbox)
        // A need of an agent is part of the state.
        guard let work = StoredWork(item.work) else { return [put] }
        let store = RedisCommand(
            "HSET",
            ConversationKeys(conversationID).due,
            .integer(number),
            .text(try work.json())
        )
        return [store, put]
    }

    // MARK: - Looking at the outcome

    /// Compares heads and counts of every conversation.
    private func verify() async throws {
        var done = 0
        while true {
            let part = try source.nextCounts()
            if part.isEmpty { break }
            let answers = try await send(part.map { ConversationKeys($0.name).importCounts })
            for ((name, expected), answer) in zip(part, answers) {
                let numbers = answer.elements?.compactMap(\.integer) ?? []
                guard numbers.count == 6, numbers[5] == Self.version, expected.head == expected.entries,
                    expected
                        == .init(
                            head: numbers[0],
                            entries: numbers[1] + numbers[2],
                            identified: numbers[3],
                            members: numbers[4]
                        )
                else { throw ImportRefusal("\(name) is not as it was: \(numbers), expected \(expected)") }
            }
            done += part.count
        }
        report("\(done) conversations compared")
    }
}

/// How far an import has come (`LogIndex.importing`).
enum ImportState: String {
    case begun, done
}

/// A gateway must not go on with the half of a log.
struct ImportUnfinished: Error, CustomStringConvertible {
    let description =
        "an import into this store was begun and has not come to its end: run gateway import-sqlite again"
}

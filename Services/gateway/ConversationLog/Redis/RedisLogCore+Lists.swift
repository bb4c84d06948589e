import Contracts
import Core
import Redis

/// Conversations as lists show them.
extension RedisLogCore {
    /// Conversations whose newest entries are read at once.
    private static let summariesAtOnce = 20

    func conversation(_ name: String, for user: String) async throws -> ConversationSummary? {
        var scanned = 0
        let found = try await overviews([name], for: user)
        return try await summaries(found, for: user, &scanned, entriesMax: .max).first
    }

    /// A page of conversations, the one whose state changed last first.
    ///
    /// - Parameter entriesMax: A page that would look at more entries ends early, after one conversation at least.
    func conversations(
        _ query: ConversationQuery,
        entriesMax: Int = LogReader.pageEntriesMax
    ) async throws -> ConversationPage {
        var page = ConversationPage()
        guard query.limit > 0 else { return page }
        let cursor = Int(query.cursor ?? .max)
        guard let lists = Self.lists(query) else {
            let name = ConversationName.ofCustomer(query.user)
            let found = try await overviews([name], for: query.user).filter { overview in
                overview.stored.place < cursor && (query.state == nil || overview.state.routing == query.state)
            }
            var scanned = 0
            page.conversations = try await summaries(found, for: query.user, &scanned, entriesMax: .max)
            return page
        }
        var scanned = 0
        var last = min(cursor, 1 << 53)
        while true {
            let wanted = min(query.limit - page.conversations.count, Self.summariesAtOnce) + 1
            let entries = try await entries(of: lists, before: last, wanted)
            for part in entries.prefix(wanted - 1) { last = part.number }
            let valid = try await valid(Array(entries.prefix(wanted - 1)), lists, query.user)
            let found = try await summaries(valid, for: query.user, &scanned, entriesMax: entriesMax)
            page.conversations += found
            if found.count < valid.count {
                page.next = Int64(valid[found.count].stored.place + 1)
                return page
            }
            guard entries.count >= wanted else { return page }
            if page.conversations.count == query.limit || scanned >= entriesMax {
                page.next = Int64(last)
                return page
            }
        }
    }

    /// The lists that a query goes through; `nil` for a customer's, who has one conversation.
    private static func lists(_ query: ConversationQuery) -> [RedisArgument]? {
        let states = query.state.map { [$0] } ?? RoutingState.allCases
        switch (query.userType, query.scope) {
        case (.customer, _): return nil
        case (.agent, .own): return states.map { LogIndex.list($0, of: query.user) }
        case (.agent, .all): return states.map { LogIndex.list($0) }
        }
    }

    /// The newest of several lists.
    private func entries(
        of lists: [RedisArgument],
        before number: Int,
        _ limit: Int
    ) async throws -> [LogIndex.Entry] {
        let commands = lists.map { LogIndex.readBackwards($0, before: number, limit: limit) }
        let found = try await answers(commands).flatMap { $0.elements ?? [] }.compactMap { LogIndex.Entry($0) }
        return Array(found.sorted { $0.number > $1.number }.prefix(limit))
    }

    /// The conversations that stand where the lists say; what never will be true is taken out of them.
    private func valid(
        _ entries: [LogIndex.Entry],
        _ lists: [RedisArgument],
        _ user: String
    ) async throws -> [Overview] {
        var valid: [Overview] = []
        var known: [String: Overview] = [:]
        for overview in try await overviews(Set(entries.map(\.conversationID)).sorted(), for: user) {
            known[overview.name] = overview
        }
        for entry in entries {
            let overview = known[entry.conversationID]
            if let overview, overview.stored.place == entry.number {
                let own = Set(LogIndex.lists(overview.name, overview.state).compactMap(\.keyText))
                if lists.contains(where: { $0.keyText.map(own.contains) ?? false }) { valid.append(overview) }
            } else if entry.version <= overview?.version ?? 0 {
                for list in lists { client.send(LogIndex.remove(entry.number, from: list)) { _ in } }
            }
        }
        return valid
    }

    // MARK: - Some of them

    /// What a summary is made of, but for entries.
    private struct Overview {
        let name: String
        let version: Int
        let stored: StoredConversation
        let state: ConversationState
        let head: Int
        let read: Int?
        let ended: Int?

        /// `nil` for a conversation without entries.
        init?(_ name: String, _ answer: RESPValue) throws {
            let parts = answer.elements ?? []
            guard parts.count == 5, let version = parts[0].integer, let head = parts[2].integer,
                let read = parts[3].integer, let ended = parts[4].integer
            else { throw LogDamaged(conversationID: name) }
            guard let json = parts[1].bytes, head > 0 else { return nil }
            self.name = name
            self.version = version
            self.head = head
            stored = try StoredConversation(json: json)
            state = stored.state(of: name)
            self.read = read >= 0 ? read : nil
            self.ended = ended >= 0 ? ended : nil
        }
    }

    private func overviews(_ names: [String], for user: String) async throws -> [Overview] {
        let answers = try await answers(names.map { ConversationKeys($0).summary(for: user) })
        return try zip(names, answers).compactMap { try Overview($0, $1) }
    }

    /// Summaries of the first conversations, of all but for `entriesMax`.
    private func summaries(
        _ overviews: [Overview],
        for user: String,
        _ scanned: inout Int,
        entriesMax: Int
    ) async throws -> [ConversationSummary] {
        let span = ConversationSummary.lastMessageSpan
        let pages = try await answers(
            overviews.map { ConversationKeys($0.name).read(.before($0.head + 1), limit: span, bytesMax: .max) }
        )
        var summaries: [ConversationSummary] = []
        for (overview, page) in zip(overviews, pages) {
            if scanned >= entriesMax, scanned > 0 { break }
            var newest = NewestEntries(user: user, head: overview.head, read: overview.read, ended: overview.ended)
            var sequence = overview.head
            if take(page, &newest, &sequence, &scanned), sequence >= newest.first {
                // What is unread reaches further back.
                let range = EntryRange.before(sequence + 1)
                let command = ConversationKeys(overview.name).read(
                    range,
                    limit: sequence - newest.first + 1,
                    bytesMax: .max
                )
                _ = take(try await answer(command), &newest, &sequence, &scanned)
            }
            summaries.append(
                ConversationSummary(
                    conversationID: overview.name,
                    customerID: overview.state.customer,
                    agentID: overview.state.agent,
                    state: overview.state.routing,
                    lastMessage: newest.lastMessage,
                    head: overview.head,
                    unread: newest.unread,
                    updatedAt: newest.updatedAt
                )
            )
        }
        return summaries
    }

    /// Looks at entries from `sequence` backwards; false when no earlier one matters.
    private func take(
        _ page: RESPValue,
        _ newest: inout NewestEntries,
        _ sequence: inout Int,
        _ scanned: inout Int
    ) -> Bool {
        for text in (page.elements ?? []).dropFirst(2) {
            scanned += 1
            guard (text.bytes ?? []).withUnsafeBytes({ newest.take(sequence, $0) }) else { return false }
            sequence -= 1
        }
        return true
    }
}

extension RedisArgument {
    fileprivate var keyText: String? { if case .key(let text) = self { text } else { nil } }
}

import Contracts
import Core
import Net
import Redis

/// What Redis holds is not what a log writes there.
struct LogDamaged: Error {
    let conversationID: String
}

/// Entries, members and positions, as they are in Redis.
extension RedisLogCore {
    func read(_ name: String, _ range: EntryRange, limit: Int, bytesMax: Int) async throws -> EntryPage {
        var page = EntryPage()
        guard limit > 0 else { return page }
        let parts =
            try await answer(ConversationKeys(name).read(range, limit: limit, bytesMax: bytesMax)).elements ?? []
        guard parts.count >= 2, let head = parts[0].integer, let first = parts[1].integer else {
            throw LogDamaged(conversationID: name)
        }
        page.head = head
        let isBackwards = if case .before = range { true } else { false }
        let texts = parts.dropFirst(2)
        for (offset, text) in (isBackwards ? Array(texts.reversed()) : Array(texts)).enumerated() {
            guard let text = text.bytes, !text.isEmpty else { throw LogDamaged(conversationID: name) }
            let sequence = isBackwards ? first - texts.count + 1 + offset : first + offset
            page.append(sequence: sequence, text)
        }
        return page
    }

    func members(of name: String) async throws -> [String] {
        let parts = try await answer(ConversationKeys(name).look(digest: nil)).elements ?? []
        guard parts.count == 5, let json = parts[1].bytes else { return [] }
        return try StoredConversation(json: json).members
    }

    /// Proves that Redis answers, and that its log is a whole one.
    func checkImport() async throws {
        let state = try await answer(RedisCommand("HGET", LogIndex.importing, "state")).text
        if state == ImportState.begun.rawValue { throw ImportUnfinished() }
    }

    // MARK: - Positions

    func position(of user: String, in name: String) async throws -> MemberPosition? {
        Position(try await answer(ConversationKeys(name).position(of: user)), name)?.position
    }

    func positions(of user: String, naming: [String]) async throws -> [MemberPosition] {
        let names = try await answer(RedisCommand("ZRANGE", LogIndex.user(user), 0, -1)).elements ?? []
        var positions: [MemberPosition] = []
        var done: [(conversationID: String, version: Int)] = []
        var known: Set<String> = []
        for place in try await places(of: user, in: names.compactMap(\.text)) {
            if place.isOwed {
                positions.append(place.position)
                known.insert(place.position.conversationID)
            } else {
                done.append((place.position.conversationID, place.version))
            }
        }
        if !done.isEmpty {
            // An agent's past conversations, however many, are gone through once.
            client.send(LogIndex.forget(done, of: user)) { _ in }
        }
        let others = naming.filter { known.insert($0).inserted }
        positions += try await places(of: user, in: others).map(\.position)
        return positions
    }

    private func places(of user: String, in names: [String]) async throws -> [Position] {
        let answers = try await answers(names.map { ConversationKeys($0).position(of: user) })
        return zip(answers, names).compactMap { Position($0, $1) }
    }

    private struct Position {
        let position: MemberPosition
        let version: Int
        /// Whether there is, or will be, something to send.
        let isOwed: Bool

        init?(_ answer: RESPValue, _ name: String) {
            guard let parts = answer.elements, parts.count == 6, let delivered = parts[0].integer,
                let head = parts[1].integer, let isMember = parts[3].integer, let version = parts[4].integer,
                let start = parts[5].integer
            else { return nil }
            let agent = parts[2].text
            position = MemberPosition(
                conversationID: name,
                delivered: delivered,
                head: head,
                start: start,
                hasEnded: isMember == 0,
                agentID: agent?.isEmpty == false ? agent : nil
            )
            self.version = version
            isOwed = isMember == 1 || delivered < head
        }
    }

    // MARK: - What is due

    func outbox(after number: Int64, limit: Int) async throws -> [OutboxItem] {
        var items: [OutboxItem] = []
        var last = Int(number)
        while items.count < limit {
            let wanted = limit - items.count
            let found = try await answer(LogIndex.read(LogIndex.outbox, after: last, limit: wanted)).elements ?? []
            let entries = found.compactMap { LogIndex.Entry($0) }
            guard let newest = entries.last else { break }
            let names = Set(entries.map(\.conversationID)).sorted()
            let looks = try await answers(names.map { ConversationKeys($0).look(digest: nil) })
            let due = Dictionary(uniqueKeysWithValues: try zip(names, looks).map { ($0, try Due($0, $1)) })
            for entry in entries {
                guard let conversation = due[entry.conversationID] else { continue }
                if let work = conversation.works[entry.number] {
                    items.append(OutboxItem(number: Int64(entry.number), work: work))
                } else if entry.version <= conversation.version {
                    client.send(LogIndex.remove(entry.number, from: LogIndex.outbox)) { _ in }
                }
            }
            last = newest.number
            if found.count < wanted { break }
        }
        return items
    }

    /// What a conversation has due, by number.
    private struct Due {
        let version: Int
        private(set) var works: [Int: OutboxItem.Work] = [:]

        init(_ name: String, _ answer: RESPValue) throws {
            let parts = answer.elements ?? []
            guard parts.count == 5, let version = parts[0].integer else { throw LogDamaged(conversationID: name) }
            self.version = version
            if let json = parts[1].bytes {
                let stored = try StoredConversation(json: json)
                if let number = stored.need?.number, let need = stored.state(of: name).need {
                    works[number] = .route(need)
                }
            }
            for entry in parts[4].entries ?? [] {
                guard let number = entry.key.integer, let json = entry.value.bytes else { continue }
                works[number] = try StoredWork(json: json).work(of: name)
            }
        }
    }

    // MARK: - Receipts

    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?) {
        let membership = Membership(user: user, conversationID: receipt.conversationID)
        if gathered.receipts.isEmpty {
            _ = loop.schedule(after: .milliseconds(LogWriter.gatheringInterval)) { self.flushReceipts() }
        }
        gathered.gather(receipt, of: membership, from: origin, countMax: LogWriter.receiptsMax)
    }

    /// Stores what was gathered.
    ///
    /// What fails is dropped: it is said again, or the entry is sent again.
    func flushReceipts() {
        let receipts = gathered.receipts
        gathered.receipts = [:]
        if receipts.isEmpty { return }
        stepsCount += 1
        Task {
            let moves = await store(receipts)
            if !moves.isEmpty { moved(moves) }
            stepsCount -= 1
            endIfDone()
        }
    }

    func store(_ receipts: [Membership: GatheredReceipt]) async -> [PositionMove] {
        var moves: [PositionMove] = []
        var rest = Array(receipts)[...]
        while !rest.isEmpty {
            let part = rest.prefix(LogCalls.window)
            rest = rest.dropFirst(LogCalls.window)
            let known = part.map { conversations[$0.key.conversationID]?.known }
            let commands = zip(part, known).map { entry, known in
                ConversationKeys(entry.key.conversationID).move(
                    entry.value,
                    of: entry.key.user,
                    version: known?.version ?? 0
                )
            }
            let results = await results(commands)
            for (((membership, receipt), known), result) in zip(zip(part, known), results) {
                guard case .success(let answer) = result else { continue }
                if let move = positionMove(membership, receipt, answer, known?.members) { moves.append(move) }
            }
        }
        return moves
    }

    private func positionMove(
        _ membership: Membership,
        _ receipt: GatheredReceipt,
        _ answer: RESPValue,
        _ known: [String]?
    ) -> PositionMove? {
        guard let parts = answer.elements, parts.count == 3, let delivered = parts[0].integer,
            let read = parts[1].integer
        else { return nil }
        // In another version than the known one the answer has the state.
        let members = parts[2].bytes.flatMap { try? StoredConversation(json: $0).members } ?? known
        guard let members else { return nil }
        return PositionMove(
            conversationID: membership.conversationID,
            userID: membership.user,
            delivered: delivered >= 0 ? delivered : nil,
            read: read >= 0 ? read : nil,
            members: members,
            origin: receipt.origin
        )
    }
}

extension EntryPage {
    fileprivate mutating func append(sequence: Int, _ text: [UInt8]) {
        let start = bytes.count
        bytes += text
        entries.append(Entry(sequence: sequence, text: start..<bytes.count))
    }
}

import Core
import Redis

/// Entries that change their conversation's state, and what is settled: steps that hold only for the version, and an
/// entry's only at the head, that they were worked out for; otherwise they are worked out again.
extension RedisLogCore {
    /// The entries past the head that a closing agent knew, in which a customer's message is looked for; in a longer
    /// stretch one is taken for granted, and the conversation asks for an agent again.
    private static let closeSpan = 1000
    private static let closePageBytes = 1 << 20
    /// Attempts without a pause, and the longest pause before a further one, in milliseconds.
    private static let attemptsAtOnce = 3
    private static let pauseMax = 5
    /// Numbers for a step: of its place in lists, of a need, of other work.
    private static let numbersCount = 3

    /// What a conversation was when a step began.
    struct Look {
        let head: Int
        /// The sequence of the entry with the step's digest, 0 without one.
        let known: Int
        let due: [Int: StoredWork]
        /// The last of the step's numbers.
        var number = 0
    }

    /// Reads a conversation, and takes over what it is.
    func look(_ conversation: KnownConversation, digest: [UInt8]?) async throws(FrameProblem) -> Look {
        try take(try await write(conversation.keys.look(digest: digest)), conversation)
    }

    private func lookForStep(
        _ conversation: KnownConversation,
        digest: [UInt8]?
    ) async throws(FrameProblem) -> Look {
        let commands = [
            conversation.keys.look(digest: digest),
            RedisCommand("INCRBY", LogIndex.numbers, .integer(Self.numbersCount)),
        ]
        var values: [RESPValue] = []
        for (command, result) in zip(commands, await results(commands)) {
            switch result {
            case .success(let value): values.append(value)
            case .failure(let error): values.append(try await insist(command, after: error))
            }
        }
        var look = try take(values[0], conversation)
        look.number = values[1].integer ?? 0
        return look
    }

    private func take(_ answer: RESPValue, _ conversation: KnownConversation) throws(FrameProblem) -> Look {
        let parts = answer.elements ?? []
        guard parts.count == 5, let version = parts[0].integer, let head = parts[2].integer,
            let known = parts[3].integer
        else { throw damaged(conversation.name) }
        do {
            try conversation.take(version: version, json: parts[1].bytes)
            conversation.head = head
            var due: [Int: StoredWork] = [:]
            for entry in parts[4].entries ?? [] {
                if let number = entry.key.integer, let json = entry.value.bytes {
                    due[number] = try StoredWork(json: json)
                }
            }
            return Look(head: head, known: known, due: due)
        } catch {
            throw damaged(conversation.name)
        }
    }

    private func damaged(_ name: String) -> FrameProblem {
        log.error("conversation_damaged", ["conversation_id": .string(name)])
        return FrameProblem(code: .unavailable, message: "the conversation cannot be read; nothing was stored")
    }

    // MARK: - Entries

    /// Appends an entry that changes the state, as far as that is known.
    func change(_ conversation: KnownConversation, _ pending: PendingAppend) async {
        do throws(FrameProblem) {
            var attempts = 1
            while try await !isChanged(conversation, pending) {
                attempts += 1
                if attempts > Self.attemptsMax { throw Self.contended }
                if attempts > Self.attemptsAtOnce {
                    // Whoever tries in step with others would be forestalled by them again.
                    try? await Task.sleep(for: .milliseconds(Int.random(in: 0...Self.pauseMax)))
                }
            }
        } catch {
            conversation.forget()
            finish(pending, .failed(error))
        }
        end(conversation)
    }

    /// One attempt; false when it was forestalled.
    private func isChanged(
        _ conversation: KnownConversation,
        _ pending: PendingAppend
    ) async throws(FrameProblem) -> Bool {
        let append = pending.append
        let look = try await lookForStep(conversation, digest: pending.digest)
        if look.known > 0 {
            await repeated(conversation, pending, look.known)
            return true
        }
        guard look.head < LogSchema.sequenceMax else { throw .conversationFull }
        guard let found = conversation.state else { return false }
        if isPlain(append, conversation, found, count: 0) {
            conversation.waiting.insert(pending, at: 0)
            return true
        }
        var step = LogStep(conversation, found, look)
        if case .recall(let target) = append.kind {
            switch try await judge(target, conversation, pending, head: look.head) {
            case .allowed(let text): step.recall(target, text)
            case .repeated(let sequence):
                await repeated(conversation, pending, sequence)
                return true
            }
        }
        if case .closed(let asked) = append.kind {
            step.state.lastAsked = try await lastAsked(conversation, found, after: asked, head: look.head)
        }
        let text = pending.batch.batch.completedText(of: append, agent: found.agent)
        let stored = Array(pending.batch.batch.bytes.waiting[text])
        let audience = step.take(append)
        guard var sequence = try await store(step, conversation, digest: pending.digest, text: stored) else {
            return false
        }
        if sequence < 0 {
            sequence = -sequence
            guard try await self.text(conversation, sequence) == stored else {
                await repeated(conversation, pending, sequence)
                return true
            }
            // It was this step's, whose answer was lost.
        }
        conversation.head = max(conversation.head, sequence)
        pending.batch.batch.appends[pending.index].text = text
        pending.batch.batch.due += step.items
        finish(pending, .appended(sequence: sequence, audience: audience))
        return true
    }

    /// Announces a step, does it, and takes back what it has made untrue.
    ///
    /// - Returns: The head, negative when the entry was there; `nil` when the step was forestalled.
    private func store(
        _ step: LogStep,
        _ conversation: KnownConversation,
        digest: [UInt8]?,
        text: [UInt8]
    ) async throws(FrameProblem) -> Int? {
        try await write(step.announcements)
        let command: RedisCommand
        do {
            command = try conversation.keys.store(
                step.plan,
                digest: digest,
                text: text,
                state: step.changesState ? step.stored.json() : [],
                mask: step.mask
            )
        } catch {
            throw damaged(conversation.name)
        }
        guard let answer = try await write(command).integer else {
            for command in step.retractions { client.send(command) { _ in } }
            return nil
        }
        if answer >= 0 || digest == nil {
            conversation.set(
                step.state,
                version: step.newVersion,
                needNumber: step.needNumber,
                place: step.stored.place
            )
        } else {
            conversation.forget()
        }
        takeBack(due: step.dropped)
        // What stays in an index is found not to be true by whoever reads it.
        for command in step.withdrawals { client.send(command) { _ in } }
        return answer
    }

    /// The entry was appended before.
    func repeated(_ conversation: KnownConversation, _ pending: PendingAppend, _ sequence: Int) async {
        do throws(FrameProblem) {
            let stored = try await text(conversation, sequence)
            let append = pending.append
            guard StoredEntry.isChat(stored) == (append.kind == .chat) else { throw .clientIDReused }
            if conversation.state == nil { _ = try await look(conversation, digest: nil) }
            let batch = pending.batch.batch
            let state = conversation.state
            let audience = state?.members ?? []
            if stored.elementsEqual(batch.bytes.waiting[append.text]) {
                // Ours, after all: its answer was lost.
                return finish(pending, .appended(sequence: sequence, audience: audience))
            }
            if append.kind == .chat {
                // DESIGN R1: routing again, and what the repeat's file was just granted is not to stay with a recalled
                // message.
                if let need = state?.need, let number = conversation.needNumber {
                    batch.due.append(OutboxItem(number: Int64(number), work: .route(need)))
                }
                if let file = append.file, StoredEntry.isRecalled(stored) {
                    batch.due.append(try await revoke(file, conversation))
                }
            }
            finish(pending, .repeated(sequence: sequence, stored: stored, audience: audience))
        } catch {
            finish(pending, .failed(error))
        }
    }

    private func revoke(_ file: GrantedFile, _ conversation: KnownConversation) async throws(FrameProblem) -> OutboxItem
    {
        for _ in 0..<Self.attemptsMax {
            let look = try await lookForStep(conversation, digest: nil)
            guard let state = conversation.state else { continue }
            var step = LogStep(conversation, state, look)
            step.revoke(file)
            guard try await store(step, conversation, digest: nil, text: []) != nil else { continue }
            return step.items[0]
        }
        throw Self.contended
    }

    // MARK: - Reading for a step

    private enum Verdict {
        case allowed(text: [UInt8])
        case repeated(sequence: Int)
    }

    private func judge(
        _ target: Int,
        _ conversation: KnownConversation,
        _ pending: PendingAppend,
        head: Int
    ) async throws(FrameProblem) -> Verdict {
        guard target >= 1, target <= head else { throw RecallRule.unknown }
        let append = pending.append
        let time = StoredEntry.Glance(
            UnsafeRawBufferPointer(rebasing: pending.batch.batch.bytes.waiting[append.text])
        ).timestamp
        let stored = try await text(conversation, target)
        switch RecallRule.judge(stored, by: append.sender, at: time) {
        case .allowed: return .allowed(text: stored)
        case .repeated(let sequence): return .repeated(sequence: sequence)
        case .refused(let problem): throw problem
        }
    }

    /// The stored text of an entry that exists.
    private func text(_ conversation: KnownConversation, _ sequence: Int) async throws(FrameProblem) -> [UInt8] {
        let parts = try await write(conversation.keys.read(sequence)).elements ?? []
        guard parts.count == 3, let text = parts[2].bytes, !text.isEmpty else { throw damaged(conversation.name) }
        return text
    }

    /// The sequence of the customer's last message past `asked`; `nil` when there is none.
    private func lastAsked(
        _ conversation: KnownConversation,
        _ state: ConversationState,
        after asked: Int,
        head: Int
    ) async throws(FrameProblem) -> Int? {
        guard let customer = state.customer, asked < head else { return nil }
        let first = max(asked, 0) + 1
        var sequence = head
        let end = max(first, head - Self.closeSpan + 1)
        while sequence >= end {
            let range = EntryRange.before(sequence + 1)
            let command = conversation.keys.read(range, limit: sequence - end + 1, bytesMax: Self.closePageBytes)
            let texts = try await write(command).elements?.dropFirst(2) ?? []
            guard !texts.isEmpty else { throw damaged(conversation.name) }
            for text in texts {
                let isAsking = (text.bytes ?? []).withUnsafeBytes { bytes in
                    let glance = StoredEntry.Glance(bytes)
                    return glance.isChat && glance.isFrom(customer)
                }
                if isAsking { return sequence }
                sequence -= 1
            }
        }
        return head - first >= Self.closeSpan ? head : nil
    }

    // MARK: - What is settled

    /// Takes an item out of the outbox.
    func settle(_ number: Int) async {
        stepsCount += 1
        defer {
            stepsCount -= 1
            endIfDone()
        }
        do throws(FrameProblem) {
            let range = RedisArgument.integer(number)
            let found = try await write(RedisCommand("ZRANGEBYSCORE", LogIndex.outbox, range, range)).elements ?? []
            guard let entry = found.lazy.compactMap({ LogIndex.Entry($0) }).first else { return }
            let conversation = conversations.find(entry.conversationID)
            for _ in 0..<Self.attemptsMax {
                if try await isSettled(number, conversation) { return }
            }
        } catch {
            // It stays in the outbox, and is seen to again.
        }
    }

    private func isSettled(_ number: Int, _ conversation: KnownConversation) async throws(FrameProblem) -> Bool {
        let look = try await look(conversation, digest: nil)
        guard let state = conversation.state else { return false }
        takeBack(due: [number])
        guard conversation.needNumber == number else {
            try await write([
                RedisCommand("HDEL", conversation.keys.due, .integer(number)),
                LogIndex.remove(number, from: LogIndex.outbox),
            ])
            return true
        }
        var step = LogStep(conversation, state, look)
        step.settleNeed()
        return try await store(step, conversation, digest: nil, text: []) != nil
    }
}

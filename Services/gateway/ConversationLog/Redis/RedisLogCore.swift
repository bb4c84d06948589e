import Core
import Net
import Redis

/// The message log on Redis: its loop's side.
///
/// An actor on the loop that its connections are on, so that no answer changes threads. A message between known
/// members costs no task: it goes out with all others of the turn, one function for those of a conversation, and the
/// next ones of that conversation wait for its answer, so that their order stays whatever happens to the connection.
actor RedisLogCore {
    /// Entries of a conversation that go in one step.
    static let stepMax = 64
    /// The bytes after which a step takes no further entry.
    static let stepBytesMax = 256 * 1024
    /// How often a step is tried that others' changes of the same conversation forestall.
    static let attemptsMax = 100
    static let contended = FrameProblem(
        code: .unavailable,
        message: "the conversation is being changed elsewhere; nothing was stored"
    )

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let client: any RedisSending
    let log: Log
    private let interval: Int64
    private let committed: LogCommitter.Committed
    let moved: LogCommitter.Moved
    var conversations = KnownConversations()
    /// Receipts that wait to be stored.
    var gathered = CommitWork()
    /// Receipts and settlements under way.
    var stepsCount = 0
    private var ready: [KnownConversation] = []
    private var isPumpSet = false
    private var lastPump: Int64 = 0
    /// In the order in which they came, and are handed back.
    private var batches: [PendingBatch] = []
    private var isHandingBackSet = false
    private var isClosing = false
    /// When steps are given up that have no answer.
    private(set) var closingEnd = Int64.max
    private var closing: CheckedContinuation<Void, Never>?

    init(
        loop: EventLoop,
        client: any RedisSending,
        intervalMilliseconds: Int,
        log: Log,
        committed: @escaping LogCommitter.Committed,
        moved: @escaping LogCommitter.Moved
    ) {
        self.loop = loop
        self.client = client
        self.log = log
        self.committed = committed
        self.moved = moved
        interval = Int64(intervalMilliseconds)
    }

    // MARK: - Batches in and out

    func append(_ batch: AppendBatch) {
        let pending = PendingBatch(batch)
        batches.append(pending)
        if isClosing {
            LogCommitter.fail([batch], RedisConversationLog.closedProblem)
            pending.missing = 0
        } else {
            for index in batch.appends.indices {
                let append = batch.appends[index]
                let conversation = conversations.find(append.conversationID)
                let digest = PendingAppend.digest(append, in: batch)
                conversation.waiting.append(PendingAppend(batch: pending, index: index, digest: digest))
                makeReady(conversation)
            }
        }
        if pending.missing == 0 { handBackSoon() }
        pumpSoon()
    }

    private func makeReady(_ conversation: KnownConversation) {
        guard !conversation.isReady, !conversation.isBusy else { return }
        conversation.isReady = true
        ready.append(conversation)
    }

    /// At the end of the turn, but not sooner than the interval after the last time.
    private func pumpSoon() {
        guard !isPumpSet, !ready.isEmpty else { return }
        isPumpSet = true
        let delay = lastPump + interval - loop.now
        if delay <= 0 {
            loop.atTurnEnd { self.pumpReady() }
        } else {
            _ = loop.schedule(after: .milliseconds(delay)) { self.pumpReady() }
        }
    }

    private func pumpReady() {
        isPumpSet = false
        lastPump = loop.now
        conversations.turn += 1
        let ready = ready
        self.ready.removeAll(keepingCapacity: true)
        for conversation in ready {
            conversation.isReady = false
            pump(conversation)
        }
    }

    /// Sets an outcome; each entry gets one, once.
    func finish(_ pending: PendingAppend, _ outcome: AppendOutcome) {
        pending.batch.batch.appends[pending.index].outcome = outcome
        pending.batch.missing -= 1
        if pending.batch.missing == 0 { handBackSoon() }
    }

    /// Work that is not due any more is not handed back either.
    func takeBack(due numbers: [Int]) {
        if numbers.isEmpty { return }
        for pending in batches { pending.batch.due.removeAll { numbers.contains(Int($0.number)) } }
    }

    private func handBackSoon() {
        guard !isHandingBackSet else { return }
        isHandingBackSet = true
        loop.atTurnEnd { self.handBack() }
    }

    private func handBack() {
        isHandingBackSet = false
        let done = batches.prefix { $0.missing == 0 }.map(\.batch)
        batches.removeFirst(done.count)
        if !done.isEmpty { committed(Handover(done)) }
        endIfDone()
    }

    // MARK: - One conversation's steps

    /// Begins the conversation's next step, unless one is under way.
    func pump(_ conversation: KnownConversation) {
        guard !conversation.isBusy, !conversation.waiting.isEmpty else { return }
        conversation.isBusy = true
        guard let state = conversation.state else {
            Task { await load(conversation) }
            return
        }
        var entries: [RedisArgument] = []
        var texts: [Range<Int>] = []
        var bytes = 0
        for pending in conversation.waiting.prefix(Self.stepMax) where bytes < Self.stepBytesMax {
            guard isPlain(pending.append, conversation, state, count: texts.count) else { break }
            let text = pending.batch.batch.completedText(of: pending.append, agent: state.agent)
            entries.append(.bytes(pending.digest))
            entries.append(.bytes(Array(pending.batch.batch.bytes.waiting[text])))
            texts.append(text)
            bytes += text.count
        }
        if texts.isEmpty {
            let first = conversation.waiting.removeFirst()
            Task { await change(conversation, first) }
        } else {
            let command = conversation.keys.append(version: conversation.version, entries)
            send(conversation, PlainStep(texts: texts, members: state.members), command)
        }
    }

    /// Whether an entry changes nothing of the state that is known.
    func isPlain(
        _ append: Append,
        _ conversation: KnownConversation,
        _ state: ConversationState,
        count: Int
    ) -> Bool {
        guard append.kind == .chat, conversation.version > 0 else { return false }
        let sequence = conversation.head + count + 1
        guard sequence <= LogSchema.sequenceMax else { return false }
        var next = state
        return next.take(append, at: sequence).isEmpty
    }

    /// Entries at the front of the conversation's queue that go as they are.
    private struct PlainStep {
        /// Where the batches have what is stored.
        let texts: [Range<Int>]
        /// Who gets them.
        let members: [String]
    }

    private func send(_ conversation: KnownConversation, _ step: PlainStep, _ command: RedisCommand) {
        client.send(command) { result in
            switch result {
            case .success(let value): self.appended(conversation, step, value)
            case .failure(let error):
                Task {
                    do throws(FrameProblem) {
                        self.appended(conversation, step, try await self.insist(command, after: error))
                    } catch {
                        self.fail(conversation, step.texts.count, error)
                    }
                }
            }
        }
    }

    private func appended(_ conversation: KnownConversation, _ step: PlainStep, _ answer: RESPValue) {
        let sequences = (answer.elements ?? []).compactMap(\.integer)
        guard sequences.count == step.texts.count else {
            // Another gateway has changed the state.
            conversation.refusals += 1
            guard conversation.refusals < Self.attemptsMax else {
                return fail(conversation, step.texts.count, Self.contended)
            }
            conversation.forget()
            end(conversation)
            return
        }
        conversation.refusals = 0
        var repeats: [(PendingAppend, Int)] = []
        for (offset, sequence) in sequences.enumerated() {
            let pending = conversation.waiting[offset]
            if sequence > 0 {
                pending.batch.batch.appends[pending.index].text = step.texts[offset]
                conversation.head = max(conversation.head, sequence)
                finish(pending, .appended(sequence: sequence, audience: step.members))
            } else {
                repeats.append((pending, -sequence))
            }
        }
        conversation.waiting.removeFirst(step.texts.count)
        if repeats.isEmpty {
            end(conversation)
        } else {
            let found = repeats
            Task {
                for (pending, sequence) in found { await self.repeated(conversation, pending, sequence) }
                self.end(conversation)
            }
        }
    }

    private func fail(_ conversation: KnownConversation, _ count: Int, _ problem: FrameProblem) {
        for pending in conversation.waiting.prefix(count) { finish(pending, .failed(problem)) }
        conversation.waiting.removeFirst(count)
        conversation.forget()
        end(conversation)
    }

    /// The step is over: the next one.
    func end(_ conversation: KnownConversation) {
        conversation.isBusy = false
        pump(conversation)
    }

    private func load(_ conversation: KnownConversation) async {
        do throws(FrameProblem) {
            _ = try await look(conversation, digest: nil)
        } catch {
            for pending in conversation.waiting { finish(pending, .failed(error)) }
            conversation.waiting.removeAll()
        }
        end(conversation)
    }

    // MARK: - The end

    /// Waits until every batch is handed back and every receipt stored; later ones are refused.
    func close() async {
        isClosing = true
        closingEnd = loop.now + LogCalls.closingInsistence
        flushReceipts()
        await withCheckedContinuation { continuation in
            closing = continuation
            endIfDone()
        }
        await client.shutDown()
    }

    func endIfDone() {
        guard isClosing, batches.isEmpty, stepsCount == 0 else { return }
        closing?.resume()
        closing = nil
    }
}

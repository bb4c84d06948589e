import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Synchronization

/// Sees to what the log's entries make due elsewhere: agents for conversations, first responses, grants to take back;
/// and brings presence's decisions into the log (DESIGN R9, R10).
///
/// Nothing of it is lost: an item stays in the log's outbox, and a decision pending with presence, until the other side
/// has answered; both come again, after a failure as after a crash. What is done for one conversation is done in order.
final class OutboxLink: Sendable {
    private static let lanesCount = 8
    /// How often the outbox is read again for what has failed or was left by an earlier process.
    private static let reloadInterval = Duration.seconds(2)
    private static let reloadMax = 1000
    /// The most items and reports that wait; further ones are found in the outbox, or offered again, later.
    private static let waitingMax = 20_000
    /// How long an explicit request waits for another decision of its conversation to be logged: longer than presence
    /// takes to offer again one whose report a crash has swallowed.
    private static let conflictPatience = Duration.seconds(5)
    private static let conflictPause = Duration.milliseconds(25)
    /// How long customers' requests stay in the outbox when presence's queue is full: less than `reloadInterval`, so
    /// that the next reading of the outbox tries again.
    private static let queueFullPause = Duration.milliseconds(1500)

    private struct QueueFull: Error {}

    private enum Job: Sendable {
        case item(OutboxItem)
        case report(RoutingDecision, sequence: Int)
    }

    private typealias Waiter = CheckedContinuation<Void, any Error>

    /// What is done one after the other.
    private final class Lane: Sendable {
        /// One for each job that waits.
        let tokens: AsyncStream<Void>
        private let token: AsyncStream<Void>.Continuation
        private let waiting = Mutex((reports: ArraySlice<Job>(), items: ArraySlice<Job>()))

        init() { (tokens, token) = AsyncStream.makeStream() }

        func add(_ job: Job) {
            waiting.withLock { waiting in
                if case .report = job { waiting.reports.append(job) } else { waiting.items.append(job) }
            }
            token.yield()
        }

        /// The next job, reports first.
        ///
        /// Until its report a decision is offered again and again, appended again and hinted to its members: behind
        /// thousands of customers who are still to be routed that would go on for minutes.
        func next() -> Job? {
            waiting.withLock { $0.reports.popFirst() ?? $0.items.popFirst() }
        }
    }

    private struct State {
        /// Items that wait or are seen to, and decisions in the log whose reports wait.
        var items: Set<Int64> = []
        var reports: Set<String> = []
        var turns = OutboxTurns()
        /// Decisions handed to the log, and who waits for each to be in it.
        var appending: [String: [Waiter]] = [:]
        var messageIDs = MessageID()
        var queueFullUntil = ContinuousClock.now
    }

    private let log: any ConversationLog
    private let presence: InternalClient
    private let fileGrants: FileGrants
    private let isAlone: @Sendable () -> Bool
    private let onQueued: @Sendable (QueuePlace) -> Void
    private let lanes: [Lane]
    private let state = Mutex(State())

    /// - Parameters:
    ///   - log: Whose outbox it is.
    ///   - presence: Makes the decisions.
    ///   - fileGrants: Takes grants back.
    ///   - isAlone: Whether there is no other gateway that sees to the same outbox.
    ///   - onQueued: Told of a customer who has to wait.
    init(
        log: any ConversationLog,
        presence: InternalClient,
        fileGrants: FileGrants,
        isAlone: @escaping @Sendable () -> Bool = { true },
        onQueued: @escaping @Sendable (QueuePlace) -> Void
    ) {
        self.isAlone = isAlone
        self.log = log
        self.presence = presence
        self.fileGrants = fileGrants
        self.onQueued = onQueued
        lanes = (0..<Self.lanesCount).map { _ in Lane() }
    }

    /// Works until cancelled.
    @concurrent
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for lane in lanes {
                group.addTask {
                    for await _ in lane.tokens {
                        if let job = lane.next() { await self.perform(job) }
                    }
                }
            }
            group.addTask { await self.reloadForEver() }
        }
    }

    // MARK: - Work

    /// Items that a commit of this gateway's has made due; from any thread.
    func enqueue(_ items: [OutboxItem]) {
        state.withLock { state in
            for item in items { state.turns.appended(item.number) }
        }
        perform(items)
    }

    private func perform(_ items: [OutboxItem]) {
        for item in items {
            let isNew = state.withLock { state in
                guard state.items.count < Self.waitingMax else { return false }
                return state.items.insert(item.number).inserted
            }
            if isNew { lane(item.work.lane).add(.item(item)) }
        }
    }

    private func lane(_ key: String) -> Lane { lanes[Int(UInt(bitPattern: key.hashValue) % UInt(lanes.count))] }

    private func reloadForEver() async {
        while !Task.isCancelled {
            await reload()
            try? await Task.sleep(for: Self.reloadInterval)
        }
    }

    private func reload() async {
        var last: Int64 = 0
        while true {
            // What cannot be read now is read the next time.
            guard let items = try? await items(after: last) else { return }
            guard let newest = items.last else { break }
            let (now, isAlone) = (Monotonic.milliseconds(), isAlone())
            let due = state.withLock { state in
                items.filter { state.turns.isDue($0.number, now: now, isAlone: isAlone) }
            }
            perform(due)
            last = newest.number
            if items.count < Self.reloadMax { break }
        }
        state.withLock { $0.turns.endRound() }
    }

    private func items(after number: Int64) async throws -> [OutboxItem] {
        try await log.answer { log.outbox(after: number, limit: Self.reloadMax, $0) }
    }

    private func perform(_ job: Job) async {
        switch job {
        case .item(let item):
            do {
                try await perform(item.work)
                log.settle(item.number)
                state.withLock { $0.turns.settled(item.number) }
            } catch {
                // It stays in the outbox, and comes again with the next reading of it.
            }
            state.withLock { _ = $0.items.remove(item.number) }
        case .report(let decision, let sequence):
            state.withLock { _ = $0.reports.remove(decision.decisionID) }
            // Unanswered, presence offers the decision again.
            let report = DecisionLogged(conversationID: decision.conversationID, seq: sequence)
            let path = "/internal/assignments/\(decision.decisionID)/logged"
            _ = try? await presence.call(.post, path, report, as: InternalClient.NoAnswer.self)
        }
    }

    private func perform(_ work: OutboxItem.Work) async throws {
        switch work {
        case .route(let need):
            guard let customerID = ConversationName.customer(of: need.conversationID) else { return }
            let request = AssignmentRequest(
                conversationID: need.conversationID,
                customerID: customerID,
                seq: need.sequence,
                agentID: need.agentID,
                requestedBy: need.requestedBy,
                requesterType: need.requesterType
            )
            take(try await ask(request), customerID)
        case .answered(let conversationID, let agentID, let sequence):
            let response = FirstResponse(conversationID: conversationID, agentID: agentID, seq: sequence)
            let path = "/internal/assignments/answered"
            _ = try await presence.call(.post, path, response, as: InternalClient.NoAnswer.self)
        case .revoke(let granted): try await fileGrants.revoke(granted)
        }
    }

    /// Asks for an agent.
    ///
    /// While the queue is full not every customer beyond it is asked for each time: what would make room, reports and
    /// agents' own requests, goes the same way, and would wait behind them all.
    private func ask(_ request: AssignmentRequest) async throws -> RoutingAnswer {
        let isCustomers = request.requesterType == .customer
        if isCustomers, state.withLock({ ContinuousClock.now < $0.queueFullUntil }) { throw QueueFull() }
        do {
            return try await presence.call(.post, "/internal/assignments", request, as: RoutingAnswer.self)
        } catch {
            if isCustomers, case .refused(_, let problem) = error, problem.code == ProblemCode.queueFull.rawValue {
                state.withLock { $0.queueFullUntil = .now + Self.queueFullPause }
            }
            throw error
        }
    }

    private func take(_ answer: RoutingAnswer, _ customerID: String) {
        if let decision = answer.decision { append([decision]) }
        guard answer.state == .queued, let position = answer.position else { return }
        onQueued(
            QueuePlace(
                customerID: customerID,
                conversationID: answer.conversationID,
                position: position,
                version: answer.queueVersion ?? 0,
                reason: answer.reason,
                isAgentPresent: answer.agentsPresent
            )
        )
    }

    // MARK: - Decisions

    /// Brings decisions into their conversations' logs; those that are on their way already, or in it and about to be
    /// reported, are left out.
    func append(_ decisions: [RoutingDecision]) {
        let batch = AppendBatch()
        state.withLock { state in
            for decision in decisions
            where state.appending[decision.decisionID] == nil && !state.reports.contains(decision.decisionID) {
                if enter(decision, in: batch, &state.messageIDs) { state.appending[decision.decisionID] = [] }
            }
        }
        if !batch.appends.isEmpty { log.append(Handover(batch)) }
    }

    /// - Returns: Whether the decision is one that becomes an entry.
    private func enter(
        _ decision: RoutingDecision,
        in batch: AppendBatch,
        _ messageIDs: inout MessageID
    ) -> Bool {
        guard let entry = RoutingEntry(decision) else { return false }
        let ranges = entry.write(messageID: &messageIDs, now: .now(), to: &batch.bytes)
        batch.decisions.append(decision)
        batch.appends.append(
            Append(
                conversationID: decision.conversationID,
                sender: EntryKind.system,
                senderType: nil,
                addressee: nil,
                clientID: decision.decisionID,
                kind: entry.kind,
                text: ranges.text,
                acknowledged: ranges.acknowledged,
                file: nil,
                origin: nil
            )
        )
        return true
    }

    /// A batch of `append` is committed, or has failed; on the log's thread.
    func committed(_ batch: AppendBatch) {
        for (decision, append) in zip(batch.decisions, batch.appends) {
            let waiters = state.withLock { $0.appending.removeValue(forKey: decision.decisionID) ?? [] }
            switch append.outcome {
            case .appended(let sequence, _), .repeated(let sequence, _, _):
                report(decision, sequence)
                for waiter in waiters { waiter.resume() }
            case .failed(let problem):
                // Presence offers it again.
                for waiter in waiters { waiter.resume(throwing: Problem.unavailable(problem.message)) }
            case .pending: break
            }
        }
    }

    private func report(_ decision: RoutingDecision, _ sequence: Int) {
        let isTaken = state.withLock { state in
            guard state.reports.count < Self.waitingMax else { return false }
            return state.reports.insert(decision.decisionID).inserted
        }
        if isTaken { lane(decision.conversationID).add(.report(decision, sequence: sequence)) }
    }

    // MARK: - What people ask for

    enum Operation: String, Sendable {
        case assign, transfer, close
    }

    /// Asks presence for a decision, and returns when its entry is in the log.
    ///
    /// - Throws: `Problem`: presence's refusal, or 503.
    func decide(_ operation: Operation, _ request: RoutingRequest, requestID: String?) async throws {
        let answer = try await ask(operation, request, requestID)
        guard let decision = answer.decision else { return }
        try await withCheckedThrowingContinuation { (waiter: Waiter) in
            let batch = AppendBatch()
            let isEntry = state.withLock { state in
                let isUnderWay = state.appending[decision.decisionID] != nil
                guard isUnderWay || enter(decision, in: batch, &state.messageIDs) else { return false }
                state.appending[decision.decisionID, default: []].append(waiter)
                return true
            }
            guard isEntry else { return waiter.resume() }
            if !batch.appends.isEmpty { log.append(Handover(batch)) }
        }
    }

    private func ask(
        _ operation: Operation,
        _ request: RoutingRequest,
        _ requestID: String?
    ) async throws -> RoutingAnswer {
        let path = "/internal/assignments/\(operation.rawValue)"
        let end = ContinuousClock.now + Self.conflictPatience
        while true {
            do {
                return try await presence.call(.post, path, request, as: RoutingAnswer.self, requestID: requestID)
            } catch {
                let problem = Self.refusal(error)
                // Another decision on its way into the log, or a request to route it still on its way to presence.
                guard [.conflict, .notFound].contains(problem.code), ContinuousClock.now < end else { throw problem }
            }
            try await Task.sleep(for: Self.conflictPause)
        }
    }

    /// What a client is told of presence's refusal.
    private static func refusal(_ error: InternalCallError) -> Problem {
        guard case .refused(_, let remote) = error, (400..<500).contains(remote.status) else { return error.problem }
        return Problem(remote.status, ProblemCode(rawValue: remote.code) ?? .internalError, remote.detail)
    }

    /// How a conversation came to stand as it does.
    func history(of conversationID: String, limit: Int, requestID: String?) async throws -> RoutingHistory {
        let path = "/internal/assignments/\(conversationID)?limit=\(limit)"
        do {
            return try await presence.call(.get, path, as: RoutingHistory.self, requestID: requestID)
        } catch {
            throw Self.refusal(error)
        }
    }
}

extension OutboxItem.Work {
    /// What has to be done in order: one conversation's, one file's.
    fileprivate var lane: String {
        switch self {
        case .route(let need): need.conversationID
        case .answered(let conversationID, _, _): conversationID
        case .revoke(let granted): granted.fileID
        }
    }
}

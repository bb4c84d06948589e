import Synchronization
import TestSupport

@testable import PresenceService

/// A monotonic clock that is set by hand.
final class TestClock: Sendable {
    private let time = Mutex<Milliseconds>(0)

    var now: Milliseconds {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }
}

/// Some instances and the record that they share, in a time of its own: steps are slow, are lost before or after they
/// were done, and instances stand still.
struct LeadershipWorld {
    /// A step on its way to the record, or its answer on its way back.
    private struct Pending {
        let step: Leadership.Step
        let sentAt: Milliseconds
        let doneAt: Milliseconds
        let answeredAt: Milliseconds
        let isLost: Bool
        let isAnswerLost: Bool
        var outcome: Outcome?
    }

    private enum Outcome {
        case record(LeadershipRecord?)
        case term(Int64?)
        case renewed(Bool)
    }

    private struct Instance {
        let clockOffset: Milliseconds
        var leadership: Leadership
        var pending: Pending?
        var stillUntil: Milliseconds = 0
    }

    private static let tick: Milliseconds = 20
    private var random: SeededGenerator
    private var now: Milliseconds = 0
    private var record: LeadershipRecord?
    private var instances: [Instance]
    private var isCalm = false
    private var awayUntil: Milliseconds = 0
    private(set) var faults: [String] = []

    init(seed: UInt64, limits: Leadership.Limits = .init()) {
        var random = SeededGenerator(seed: seed)
        instances = (0..<3).map { _ in
            let offset = Milliseconds(random.next(below: 1_000_000_000))
            return Instance(clockOffset: offset, leadership: Leadership(limits: limits, now: offset))
        }
        self.random = random
    }

    /// How many terms there were.
    var terms: Int64 { record?.term ?? 0 }

    /// Who may answer as the leader.
    var holders: [Int] {
        instances.indices.filter { index in
            let one = instances[index]
            return one.leadership.heldUntil.map { now + one.clockOffset < $0 } ?? false
        }
    }

    /// From now on nothing is lost or slow, and nobody stands still.
    mutating func calm() {
        isCalm = true
        awayUntil = 0
        for index in instances.indices { instances[index].stillUntil = 0 }
    }

    mutating func run(for span: Milliseconds) {
        let end = now + span
        while now < end {
            now += Self.tick
            if !isCalm, random.next(below: 500) == 0 { awayUntil = now + Milliseconds(random.next(below: 15_000)) }
            for index in instances.indices.shuffled(using: &random) { advance(index) }
            let holders = holders
            if holders.count > 1 { faults.append("\(now): \(holders) lead") }
        }
    }

    private mutating func advance(_ index: Int) {
        deliver(index)
        guard now >= instances[index].stillUntil else { return }
        if !isCalm, random.next(below: 1000) == 0 {
            instances[index].stillUntil = now + Milliseconds(random.next(below: 8000))
            return
        }
        let local = now + instances[index].clockOffset
        if let pending = instances[index].pending {
            guard now >= pending.answeredAt else { return }
            instances[index].pending = nil
            take(pending, index, local)
            return
        }
        let step = instances[index].leadership.next(now: local)
        if case .wait = step { return }
        send(step, index, local)
    }

    private mutating func send(_ step: Leadership.Step, _ index: Int, _ local: Milliseconds) {
        let slowness = isCalm ? 1 : [1, 10, 10, 100, 1500][random.next(below: 5)]
        let doneAt = now + Milliseconds(random.next(below: slowness))
        instances[index].pending = Pending(
            step: step,
            sentAt: local,
            doneAt: doneAt,
            answeredAt: doneAt + Milliseconds(random.next(below: slowness)),
            isLost: !isCalm && random.next(below: 20) == 0,
            isAnswerLost: !isCalm && random.next(below: 20) == 0
        )
    }

    /// The step reaches the record, also when who sent it stands still.
    private mutating func deliver(_ index: Int) {
        guard let pending = instances[index].pending, pending.outcome == nil, now >= pending.doneAt, !pending.isLost,
            now >= awayUntil
        else { return }
        let outcome = perform(pending.step, index)
        instances[index].pending?.outcome = outcome
    }

    private mutating func perform(_ step: Leadership.Step, _ index: Int) -> Outcome {
        switch step {
        case .claim(let seen):
            guard record == seen else { return .term(nil) }
            let term = (record?.term ?? 0) + 1
            record = LeadershipRecord(term: term, url: "http://\(index):1", beat: 1)
            return .term(term)
        case .renew(let term):
            guard let record, record.term == term, let beat = record.beat else { return .renewed(false) }
            self.record = LeadershipRecord(term: term, url: record.url, beat: beat + 1)
            return .renewed(true)
        case .look, .wait: return .record(record)
        }
    }

    private mutating func take(_ pending: Pending, _ index: Int, _ local: Milliseconds) {
        let outcome = pending.isAnswerLost ? nil : pending.outcome
        switch (pending.step, outcome) {
        case (_, .record(let record)): instances[index].leadership.saw(record, now: local)
        case (_, .term(let term?)): instances[index].leadership.claimed(term: term, sentAt: pending.sentAt)
        case (_, .renewed(true)): instances[index].leadership.renewed(sentAt: pending.sentAt)
        case (_, .renewed(false)): instances[index].leadership.deposed(now: local)
        case (.claim, _): instances[index].leadership.claimFailed(now: local)
        case (.renew, _): instances[index].leadership.renewalFailed(now: local)
        case (.look, _), (.wait, _): instances[index].leadership.lookFailed(now: local)
        }
    }
}

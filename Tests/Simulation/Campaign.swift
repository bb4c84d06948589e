import Synchronization

/// Many worlds, over all processors.
struct Campaign: Sendable {
    struct Failure: Sendable {
        let world: WorldKind
        let seed: UInt64
        let faults: [String]
    }

    struct Outcome: Sendable {
        var worlds = 0
        var steps = 0
        /// The first that were found.
        var failures: [Failure] = []
    }

    /// Failures that are kept; the rest is counted out.
    static let failuresMax = 10

    let seeds: Range<UInt64>
    let stepsPerWorld: Int
    /// Worlds are of both kinds, in turn, unless one is asked for.
    var kind: WorldKind?
    var bug: PlantedBug?
    /// Ends with the first failure.
    var stopsAtFailure = false

    /// Seeds that a thread takes at once.
    private static let share: UInt64 = 64

    func run(threads: Int) async -> Outcome {
        let progress = Progress(seeds.lowerBound)
        return await withTaskGroup(of: Outcome.self) { group in
            for _ in 0..<threads {
                group.addTask { work(progress) }
            }
            var total = Outcome()
            for await part in group {
                total.worlds += part.worlds
                total.steps += part.steps
                total.failures += part.failures
            }
            total.failures.sort { $0.seed < $1.seed }
            total.failures = Array(total.failures.prefix(Self.failuresMax))
            return total
        }
    }

    /// What the threads share.
    private final class Progress: Sendable {
        let next: Atomic<UInt64>
        let isFound = Atomic(false)

        init(_ first: UInt64) { next = Atomic(first) }
    }

    private func work(_ progress: Progress) -> Outcome {
        var outcome = Outcome()
        while !(stopsAtFailure && progress.isFound.load(ordering: .relaxed)) {
            let first = progress.next.add(Self.share, ordering: .relaxed).oldValue
            guard first < seeds.upperBound else { break }
            for seed in first..<min(first + Self.share, seeds.upperBound) {
                let failure = play(seed, &outcome)
                guard let failure else { continue }
                progress.isFound.store(true, ordering: .relaxed)
                if outcome.failures.count < Self.failuresMax { outcome.failures.append(failure) }
            }
        }
        return outcome
    }

    private func play(_ seed: UInt64, _ outcome: inout Outcome) -> Failure? {
        let kind = kind ?? (seed / 2 % 4 == 3 ? .routing : .delivery)
        let faults =
            switch kind {
            case .delivery: play(DeliveryWorld(seed: seed, bug: bug), &outcome)
            case .routing: play(RoutingWorld(seed: seed, bug: bug), &outcome)
            }
        outcome.worlds += 1
        return faults.isEmpty ? nil : Failure(world: kind, seed: seed, faults: faults)
    }

    private func play(_ made: some World, _ outcome: inout Outcome) -> [String] {
        var world = made
        var steps = 0
        while steps < stepsPerWorld, world.faults.isEmpty {
            world.step()
            steps += 1
        }
        if world.faults.isEmpty { world.rest() }
        outcome.steps += world.steps
        return world.faults
    }
}

import Foundation

/// Drives the state machines of gateway, presence and client through many seeded worlds; exit status 0: nothing found.
@main
enum Simulation {
    static let help = """
        simulation: the delivery and routing protocol under delays, losses, copies, partitions, crashes

          --seeds N          worlds (100000)
          --first N          the first one's seed (0)
          --steps N          steps of each before it comes to rest (260)
          --world KIND       delivery or routing; both without it
          --bug NAME         plants a mistake: the run fails unless it is found
          --planted          plants each mistake in turn, and fails unless each is found within 1,000 seeds
          --help             this
        A seed replays: --world delivery --first SEED --seeds 1. Exit status: 0 good, 1 not, 2 bad arguments.
        """

    static func main() async {
        replayable()
        switch Arguments(CommandLine.arguments.dropFirst()) {
        case .help:
            print(help)
        case .bad(let message):
            FileHandle.standardError.write(Data("simulation: \(message)\n".utf8))
            exit(2)
        case .planted: exit(await plantAll() ? 0 : 1)
        case .run(let campaign): exit(await run(campaign) ? 0 : 1)
        }
    }

    /// Makes a seed give the same world always.
    ///
    /// The order of hash tables differs from process to process unless the environment says otherwise.
    private static func replayable() {
        guard getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
        setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
        let arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", arguments)
    }

    private static var threads: Int { ProcessInfo.processInfo.activeProcessorCount }

    private static func run(_ campaign: Campaign) async -> Bool {
        let start = ContinuousClock.now
        let outcome = await campaign.run(threads: threads)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print("\(outcome.worlds) worlds, \(outcome.steps) steps, \(Int(seconds)) s, \(outcome.failures.count) failures")
        for failure in outcome.failures {
            print("--world \(failure.world.rawValue) --first \(failure.seed) --seeds 1")
            for fault in failure.faults.prefix(5) { print("    \(fault)") }
        }
        if let bug = campaign.bug, outcome.failures.isEmpty { print("\(bug.rawValue) was not found") }
        return outcome.failures.isEmpty == (campaign.bug == nil)
    }

    private static func plantAll() async -> Bool {
        var areAllFound = true
        for bug in PlantedBug.allCases {
            var campaign = Campaign(seeds: 0..<1000, stepsPerWorld: Arguments.stepsDefault)
            campaign.kind = bug.world
            campaign.bug = bug
            let outcome = await campaign.run(threads: threads)
            if let first = outcome.failures.first {
                print("\(bug.rawValue): seed \(first.seed): \(first.faults.first ?? "")")
            } else {
                print("\(bug.rawValue): not found")
                areAllFound = false
            }
        }
        return areAllFound
    }
}

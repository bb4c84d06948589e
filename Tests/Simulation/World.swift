/// A simulated world: made from a seed, driven step by step, and then brought to rest.
protocol World {
    init(seed: UInt64, bug: PlantedBug?)

    /// Steps that were made, those of coming to rest included.
    var steps: Int { get }
    /// What was found that must not be.
    var faults: [String] { get }

    /// One thing happens, chosen by the seed.
    mutating func step()

    /// The network heals and nothing new happens; then everything that was promised must have come about.
    mutating func rest()
}

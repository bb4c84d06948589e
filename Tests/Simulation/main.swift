let end = ContinuousClock.now
var steps = 0
var found = 0
for seed in 0..<1000 as Range<UInt64> {
    var world = DeliveryWorld(seed: seed, bug: CommandLine.arguments.count > 1 ? PlantedBug(rawValue: CommandLine.arguments[1]) : nil)
    for _ in 0..<280 where world.faults.isEmpty { world.step() }
    if world.faults.isEmpty { world.rest() }
    steps += world.steps
    if !world.faults.isEmpty {
        found += 1
        if found < 4 { print(seed, world.hasSweeps, world.faults.prefix(3)) }
    }
}
print(steps, found, ContinuousClock.now - end)

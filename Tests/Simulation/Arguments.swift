/// What the command line asks for.
enum Arguments {
    case help
    case planted
    case run(Campaign)
    case bad(String)

    static let stepsDefault = 260

    init(_ arguments: some Sequence<String>) {
        var first: UInt64 = 0
        var count: UInt64 = 100_000
        var steps = Self.stepsDefault
        var kind: WorldKind?
        var bug: PlantedBug?
        var iterator = arguments.makeIterator()
        while let name = iterator.next() {
            if name == "--help" {
                self = .help
                return
            }
            if name == "--planted" {
                self = .planted
                return
            }
            let value = iterator.next() ?? ""
            switch name {
            case "--seeds": count = UInt64(value) ?? 0
            case "--first": first = UInt64(value) ?? .max
            case "--steps": steps = Int(value) ?? 0
            case "--world": kind = WorldKind(rawValue: value)
            case "--bug": bug = PlantedBug(rawValue: value)
            default:
                self = .bad("\(name): unknown; --help lists what there is")
                return
            }
            let isGood = count > 0 && count <= 1 << 40 && first <= 1 << 60 && steps > 0
            let isNamed = (name != "--world" || kind != nil) && (name != "--bug" || bug != nil)
            guard isGood, isNamed else {
                self = .bad("\(name): not a value for it: \(value)")
                return
            }
        }
        var campaign = Campaign(seeds: first..<first + count, stepsPerWorld: steps)
        campaign.kind = kind ?? bug?.world
        campaign.bug = bug
        campaign.stopsAtFailure = bug != nil
        self = .run(campaign)
    }
}

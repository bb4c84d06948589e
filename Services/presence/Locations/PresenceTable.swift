import Core

/// Who is online, and at which registrations.
///
/// Pure: time comes in, news comes out. A user has joined with the first registration that has a connection of
/// theirs, and has left when a grace has passed since the last one let go; coming back within the grace makes no
/// news at all.
struct PresenceTable: Sendable {
    /// A user as a gateway names them.
    struct Identity: Sendable, Equatable {
        let userID: String
        var userName: String
        var userType: UserType
    }

    /// One user who is online, their grace included.
    struct Person: Sendable, Equatable {
        fileprivate(set) var identity: Identity
        fileprivate(set) var status: ChosenStatus
        /// The registrations with a connection of theirs; empty in the grace.
        fileprivate(set) var registrations: [Int] = []
        /// When the last registration let go.
        fileprivate(set) var droppedAt: Moment?
        /// When they will have left, on the monotonic clock.
        fileprivate(set) var leavesAt: Milliseconds?
        /// When a frame of theirs was last heard, on the monotonic clock, as far as a drop has told.
        fileprivate(set) var heardAt: Milliseconds
    }

    let usersMax: Int
    private var people: [String: Person] = [:]
    /// Per registration its users, each with the announcement that last named them.
    private var members: [Int: [String: Int]] = [:]
    private var announcements: [Int: Int] = [:]
    private var inGrace: Set<String> = []
    private var statuses: [String: ChosenStatus]
    /// Sorted user ids, by the type asked for; made when asked for, dropped when the set of users changes.
    private var sorted: [UserType?: [String]] = [:]
    /// What has changed for agents since the last `takeAgentNews`, in order.
    private var agentNews: [AgentNews] = []

    /// - Parameters:
    ///   - usersMax: The most users online at once; a further one is refused.
    ///   - statuses: The stored statuses; a user who is not in it is `online`.
    init(usersMax: Int, statuses: [String: ChosenStatus] = [:]) {
        self.usersMax = usersMax
        self.statuses = statuses
    }

    /// How many users are online.
    var count: Int { people.count }

    /// How many users have a connection at the registration.
    func count(at registration: Int) -> Int { members[registration]?.count ?? 0 }

    /// The user, if online.
    func person(_ userID: String) -> Person? { people[userID] }

    /// What the user has chosen, online or not.
    func chosenStatus(of userID: String) -> ChosenStatus { statuses[userID] ?? .online }

    /// How many users have chosen a status other than `online`.
    var statusCount: Int { statuses.count }

    /// When the next grace ends.
    var nextDeadline: Milliseconds? { inGrace.compactMap { people[$0]?.leavesAt }.min() }

    /// The users online, by user id.
    ///
    /// - Parameters:
    ///   - type: Only users of this type.
    ///   - cursor: Only users after this one.
    ///   - limit: The most that are returned.
    mutating func page(type: UserType?, after cursor: String?, limit: Int) -> [Person] {
        let userIDs = sortedUserIDs(type)
        let start = cursor.map { userIDs.partitionPoint(after: $0) } ?? 0
        return userIDs[start...].prefix(limit).compactMap { people[$0] }
    }

    // MARK: - What gateways report

    /// Whether the user could be entered.
    enum Attachment: Equatable {
        /// The user is where they were, or somewhere else as well, or back within the grace: no news.
        case known
        /// The user has come online.
        case joined(PresenceNews)
        /// The table is full.
        case refused
    }

    /// The registration has a connection of the user's; saying so again changes nothing.
    mutating func attach(_ identity: Identity, to registration: Int, now: Moment) -> Attachment {
        let userID = identity.userID
        guard var person = people[userID] else {
            guard people.count < usersMax else { return .refused }
            var person = Person(identity: identity, status: chosenStatus(of: userID), heardAt: now.monotonic)
            person.registrations = [registration]
            people[userID] = person
            confirm(userID, at: registration)
            sorted = [:]
            tellAgent(person)
            return .joined(PresenceNews(.joined, person, at: now))
        }
        let isNews = person.registrations.isEmpty || person.identity.userType != identity.userType
        if person.identity.userType != identity.userType {
            sorted = [:]
            var former = person
            former.registrations = []
            tellAgent(former)
        }
        person.identity = identity
        person.heardAt = now.monotonic
        if !person.registrations.contains(registration) { person.registrations.append(registration) }
        person.droppedAt = nil
        person.leavesAt = nil
        inGrace.remove(userID)
        people[userID] = person
        confirm(userID, at: registration)
        if isNews { tellAgent(person) }
        return .known
    }

    /// The registration has no connection of the user's any more.
    ///
    /// - Parameters:
    ///   - grace: How long the user stays online if this was the last.
    ///   - silent: How long nothing had been heard of the user there.
    mutating func detach(
        _ userID: String,
        from registration: Int,
        grace: Milliseconds,
        silent: Milliseconds = 0,
        now: Moment
    ) {
        guard members[registration]?.removeValue(forKey: userID) != nil, var person = people[userID] else { return }
        person.registrations.removeAll { $0 == registration }
        person.heardAt = max(person.heardAt, now.monotonic - silent)
        if person.registrations.isEmpty {
            person.droppedAt = now
            person.leavesAt = now.monotonic + grace
            inGrace.insert(userID)
            tellAgent(person)
        }
        people[userID] = person
    }

    /// The registration has ended, and all its users have left it.
    ///
    /// - Parameter silent: How long nothing had been heard of the gateway.
    mutating func detachAll(from registration: Int, grace: Milliseconds, silent: Milliseconds = 0, now: Moment) {
        for userID in (members[registration] ?? [:]).keys {
            detach(userID, from: registration, grace: grace, silent: silent, now: now)
        }
        members[registration] = nil
        announcements[registration] = nil
    }

    /// From here on the registration names all its users again.
    mutating func beginAnnouncement(of registration: Int) {
        announcements[registration, default: 0] += 1
    }

    /// All are named: who was not has left the registration.
    mutating func endAnnouncement(of registration: Int, grace: Milliseconds, now: Moment) {
        let current = announcements[registration, default: 0]
        for (userID, named) in members[registration] ?? [:] where named < current {
            detach(userID, from: registration, grace: grace, now: now)
        }
    }

    // MARK: - Status and time

    /// Enters a user's choice.
    ///
    /// - Parameter isKept: Whether the choice outlives the user's presence.
    /// - Returns: The news of it, if the user is online and it changes what others see.
    mutating func setStatus(
        _ status: ChosenStatus,
        of userID: String,
        isKept: Bool = true,
        now: Moment
    ) -> PresenceNews? {
        if isKept { statuses[userID] = status == .online ? nil : status }
        guard var person = people[userID], person.status != status else { return nil }
        person.status = status
        people[userID] = person
        tellAgent(person)
        return PresenceNews(.status, person, at: now)
    }

    /// Lets go of those whose grace is over, in the order of their deadlines.
    mutating func expire(now: Moment) -> [PresenceNews] {
        let due = inGrace.compactMap { userID -> (deadline: Milliseconds, userID: String)? in
            guard let deadline = people[userID]?.leavesAt, deadline <= now.monotonic else { return nil }
            return (deadline, userID)
        }
        guard !due.isEmpty else { return [] }
        sorted = [:]
        return due.sorted { $0 < $1 }.compactMap { _, userID in
            inGrace.remove(userID)
            return people.removeValue(forKey: userID).map { PresenceNews(.left, $0, at: now) }
        }
    }

    /// Forgives a span in which this process itself did not run: who came back then could not be heard.
    mutating func postpone(by span: Milliseconds) {
        for userID in inGrace { people[userID]?.leavesAt? += span }
    }

    // MARK: - Agents, for routing

    /// What has changed for agents since the last call, in order: routing hears of a drop when the last registration
    /// lets go, not when the grace is over.
    mutating func takeAgentNews() -> [AgentNews] {
        defer { agentNews = [] }
        return agentNews
    }

    private mutating func tellAgent(_ person: Person) {
        guard person.identity.userType == .agent else { return }
        agentNews.append(
            AgentNews(
                agentID: person.identity.userID,
                isConnected: !person.registrations.isEmpty,
                status: person.status,
                heardAt: person.heardAt
            )
        )
    }

    // MARK: -

    private mutating func confirm(_ userID: String, at registration: Int) {
        members[registration, default: [:]][userID] = announcements[registration, default: 0]
    }

    private mutating func sortedUserIDs(_ type: UserType?) -> [String] {
        if let known = sorted[type] { return known }
        let userIDs = people.values.filter { type == nil || $0.identity.userType == type }.map(\.identity.userID)
        let result = userIDs.sorted()
        sorted[type] = result
        return result
    }
}

extension [String] {
    /// The index of the first element greater than `value`; the array is sorted.
    fileprivate func partitionPoint(after value: String) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The gateways that are alive, and how far the event stream of each is applied (rule R3).
///
/// Pure: time comes in, what has ended comes out; who is where is `PresenceTable`'s. Each incarnation of a
/// gateway gets a registration number of its own, never given twice, so nothing that an older incarnation left on the
/// wire can be taken for the newer one's.
struct GatewayRegistry: Sendable {
    /// One incarnation of a gateway, from its first heartbeat until it is silent, replaced or drained.
    struct Registration: Sendable, Equatable {
        let number: Int
        let gatewayID: String
        let incarnation: String
        var url: String
        var connections: Int
        var draining: Bool
        fileprivate(set) var heardAt: Milliseconds
        /// The number that the next event has to have: from 1 on, never restarting.
        fileprivate(set) var nextEvent: Int = 1
        /// Whether an announcement has begun: before it the registration's users are not known.
        fileprivate(set) var hasAnnounced = false
    }

    /// Which events of a batch are to be applied.
    struct Admission: Equatable {
        /// How many leading events of the batch were applied before, by an earlier copy.
        let duplicates: Int
        /// The number of the last event now applied.
        let acceptedThrough: Int
    }

    let silenceMax: Milliseconds
    let gatewaysMax: Int
    private var byGateway: [String: Registration] = [:]
    private var gatewayOf: [Int: String] = [:]
    private var nextNumber: Int

    /// - Parameters:
    ///   - firstNumber: The first registration number. It has to differ from all that earlier presence processes
    ///     gave: the start time does.
    ///   - silenceMax: How long a gateway may be silent.
    ///   - gatewaysMax: The most gateways; one more is refused.
    init(firstNumber: Int, silenceMax: Milliseconds, gatewaysMax: Int) {
        nextNumber = firstNumber
        self.silenceMax = silenceMax
        self.gatewaysMax = gatewaysMax
    }

    /// The living registrations, by gateway id.
    var registrations: [Registration] {
        byGateway.values.sorted { $0.gatewayID < $1.gatewayID }
    }

    var count: Int { byGateway.count }

    /// The living registration with this number.
    func registration(_ number: Int) -> Registration? {
        gatewayOf[number].flatMap { byGateway[$0] }
    }

    /// The living registration of this gateway.
    func gateway(_ gatewayID: String) -> Registration? { byGateway[gatewayID] }

    /// When the first gateway will have been silent too long.
    var nextDeadline: Milliseconds? {
        byGateway.values.map(\.heardAt).min().map { $0 + silenceMax }
    }

    /// Takes a heartbeat, registering its gateway if this incarnation is not.
    ///
    /// - Returns: The registration's number, or `nil` when the gateway is drained and so no longer registered; and
    ///   the registration that has ended by this heartbeat, if one has.
    mutating func heartbeat(
        _ gatewayID: String,
        url: String,
        incarnation: String,
        connections: Int,
        draining: Bool,
        now: Milliseconds
    ) throws(PresenceError) -> (number: Int?, ended: Registration?) {
        var known = byGateway[gatewayID]
        let isDrained = draining && connections == 0
        if known?.incarnation == incarnation {
            known?.url = url
            known?.connections = connections
            known?.draining = draining
            known?.heardAt = now
            byGateway[gatewayID] = known
            return isDrained ? (nil, end(gatewayID)) : (known?.number, nil)
        }
        guard !isDrained else {
            // Late news of an incarnation that is gone: whoever is registered now is someone else.
            return (nil, nil)
        }
        guard known != nil || byGateway.count < gatewaysMax else { throw .tooManyGateways(max: gatewaysMax) }
        let replaced = end(gatewayID)
        let number = nextNumber
        nextNumber += 1
        gatewayOf[number] = gatewayID
        byGateway[gatewayID] = Registration(
            number: number,
            gatewayID: gatewayID,
            incarnation: incarnation,
            url: url,
            connections: connections,
            draining: draining,
            heardAt: now
        )
        return (number, replaced)
    }

    /// Decides which events of a batch are new, and counts them as applied.
    ///
    /// - Parameters:
    ///   - first: The number of the batch's first event.
    ///   - beginsAnnouncement: Whether that event is `announce_begin`, which may skip numbers: it replaces all that
    ///     the skipped events could have said.
    mutating func admit(
        _ gatewayID: String,
        registration number: Int,
        first: Int,
        count: Int,
        beginsAnnouncement: Bool,
        now: Milliseconds
    ) throws(PresenceError) -> Admission {
        guard var registration = byGateway[gatewayID], registration.number == number else {
            throw .unknownRegistration
        }
        registration.heardAt = now
        byGateway[gatewayID] = registration
        let expected = registration.nextEvent
        if beginsAnnouncement {
            registration.hasAnnounced = true
        } else {
            guard registration.hasAnnounced else { throw .announcementMissing }
            guard first <= expected else { throw .gap(expected: expected, got: first) }
        }
        let end = first + count
        let duplicates = first >= expected ? 0 : min(expected - first, count)
        registration.nextEvent = max(expected, end)
        byGateway[gatewayID] = registration
        return Admission(duplicates: duplicates, acceptedThrough: registration.nextEvent - 1)
    }

    /// Ends the registrations of gateways that have been silent too long.
    mutating func expire(now: Milliseconds) -> [Registration] {
        registrations.filter { now >= $0.heardAt + silenceMax }.compactMap { end($0.gatewayID) }
    }

    /// Forgives a span in which this process itself did not run: what it did not hear then says nothing.
    mutating func postpone(by span: Milliseconds) {
        for gatewayID in byGateway.keys { byGateway[gatewayID]?.heardAt += span }
    }

    private mutating func end(_ gatewayID: String) -> Registration? {
        guard let registration = byGateway.removeValue(forKey: gatewayID) else { return nil }
        gatewayOf[registration.number] = nil
        return registration
    }
}

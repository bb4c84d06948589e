import Contracts

/// The other gateways, as presence has named them last: pure.
///
/// "No other gateway is registered" is a look-up that answers "nowhere" for every user who is not here, so it is good
/// for as long as one (DESIGN R4): for the lease, from the *sending* of the heartbeat that it answers. A gateway that
/// has registered since has its users' joins answered after that, and reads their heads once more a longest lease after
/// each answer (R2): by then nobody takes itself for alone on an older list, and what was committed before, the reading
/// finds.
struct PeerList {
    struct Peer: Equatable {
        let gatewayID: String
        let url: String
        let registration: Int
    }

    /// What an answer has changed.
    struct Change: Equatable {
        /// Presence started anew.
        var hasNewEpoch = false
        /// Gateways whose registration has ended, whether or not they have another.
        var ended: [String] = []
    }

    private let ownID: String
    private(set) var peers: [String: Peer] = [:]
    private var epoch: String?
    /// Of the newest answer.
    private(set) var sentAt = Int64.min
    /// Until when the newest answer is good.
    private var validUntil = Int64.min
    /// The longest lease that presence has given, in milliseconds.
    private(set) var longestLease = 0

    init(ownID: String) { self.ownID = ownID }

    /// The answer to a heartbeat.
    ///
    /// - Parameter sentAt: When the heartbeat was sent, at the earliest.
    /// - Returns: `nil` when a later one was answered before.
    mutating func heard(_ answer: GatewayRegistration, sentAt: Int64) -> Change? {
        guard sentAt >= self.sentAt else { return nil }
        var change = Change()
        change.hasNewEpoch = epoch != nil && epoch != answer.presenceEpoch
        epoch = answer.presenceEpoch
        let others = answer.gateways.filter { $0.gatewayID != ownID }.map {
            ($0.gatewayID, Peer(gatewayID: $0.gatewayID, url: $0.url, registration: $0.registration))
        }
        let newer = Dictionary(others) { first, _ in first }
        change.ended = peers.values.filter { newer[$0.gatewayID]?.registration != $0.registration }.map(\.gatewayID)
            .sorted()
        peers = newer
        self.sentAt = sentAt
        validUntil = sentAt + Int64(answer.leaseMilliseconds)
        longestLease = max(longestLease, answer.leaseMilliseconds)
        return change
    }

    /// Until when no other gateway can be registered that matters; long ago when one is.
    var aloneUntil: Int64 { peers.isEmpty ? validUntil : .min }
}

import Contracts

/// Frames of the moment for users at other gateways: pure, and soft.
///
/// A gateway has one request under way; what comes over `noticesMax` meanwhile is dropped, and so is what a request
/// that fails has carried.
struct NoticeQueue {
    /// Frames that may wait for one gateway.
    static let noticesMax = 1000

    struct Request: Equatable {
        let peer: PeerList.Peer
        let notifications: Notifications
    }

    private struct Target {
        var waiting: [Notification] = []
        var isUnderWay = false

        /// False when there are too many.
        mutating func add(_ frame: String, to userID: String) -> Bool {
            if let last = waiting.indices.last, waiting[last].frame == frame {
                waiting[last].userIDs.append(userID)
                return true
            }
            guard waiting.count < noticesMax else { return false }
            waiting.append(Notification(userIDs: [userID], frame: frame))
            return true
        }
    }

    private var targets: [String: Target] = [:]
    /// Frames that were dropped since `takeDropped`.
    private var dropped = 0

    /// A user at that gateway is to have a frame; what goes to several in a row is one notice.
    mutating func add(_ frame: String, to userID: String, at gatewayID: String) {
        if !targets[gatewayID, default: Target()].add(frame, to: userID) { dropped += 1 }
    }

    /// A frame was dropped before it got here.
    mutating func drop() { dropped += 1 }

    mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }

    /// The requests to send now; each has `ended` later, whatever became of it.
    mutating func next(_ peers: [String: PeerList.Peer]) -> [Request] {
        targets.keys.sorted().compactMap { gatewayID in
            guard let target = targets[gatewayID], !target.isUnderWay, !target.waiting.isEmpty else { return nil }
            guard let peer = peers[gatewayID] else {
                dropped += target.waiting.count
                targets[gatewayID] = nil
                return nil
            }
            targets[gatewayID] = Target(isUnderWay: true)
            return Request(peer: peer, notifications: Notifications(notices: target.waiting))
        }
    }

    /// - Parameter isTaken: Whether the gateway has answered.
    mutating func ended(_ request: Request, isTaken: Bool) {
        if !isTaken { dropped += request.notifications.notices.count }
        targets[request.peer.gatewayID]?.isUnderWay = false
        if targets[request.peer.gatewayID]?.waiting.isEmpty == true { targets[request.peer.gatewayID] = nil }
    }
}

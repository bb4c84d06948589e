import Contracts
import Core
import HTTP
import ServiceKit

/// What gateways tell and ask presence (DESIGN §5); mounted behind the internal token.
struct InternalRoutes: RouteGroup {
    /// The largest body: a full batch of events with long names.
    static let bodyBytesMax = 1 << 20
    /// The longest wait for changes, in seconds.
    static let waitSecondsMax = 25
    /// The most users of one snapshot page.
    static let snapshotMax = 10_000
    /// The most Unicode scalars of a name that are kept; the rest is cut, since refusing the batch would hold up all
    /// others of it.
    static let userNameScalarsMax = 64
    /// Registration and event numbers stay below it, so that sums cannot overflow and every JSON reader has them exact.
    static let numberMax = 1 << 53

    /// The longest silence that a leave can tell of: a year, in milliseconds.
    static let silentMillisecondsMax = 31_536_000_000

    let presence: Presence
    let clock: @Sendable () -> Moment

    func register(in router: inout Router) {
        router.add(.post, "/internal/gateways/{gateway_id}") { try await heartbeat($0) }
        router.add(.post, "/internal/events") { try await events($0) }
        router.add(.post, "/internal/locate") { try await locate($0) }
        router.add(.get, "/internal/changes") { try await changes($0) }
        router.add(.get, "/internal/users") { try await users($0) }
        router.add(.put, "/internal/users/{user_id}/status") { try await setStatus($0) }
    }

    /// `POST /internal/gateways/{id}`.
    private func heartbeat(_ request: Request) async throws -> Response {
        let gatewayID = request.parameters["gateway_id"] ?? ""
        guard Identifier.isUserID(gatewayID) else {
            throw Problem.badRequest("gateway_id: 1 to 64 of A-Z a-z 0-9 _ . -")
        }
        let announcement = try await request.json(GatewayAnnouncement.self, upTo: Self.bodyBytesMax)
        guard announcement.url.hasPrefix("http://"), announcement.url.utf8.count <= 2048 else {
            throw Problem.invalidField("url", "http://host:port")
        }
        guard (1...64).contains(announcement.incarnation.utf8.count) else {
            throw Problem.invalidField("incarnation", "1 to 64 bytes")
        }
        guard announcement.connections >= 0 else { throw Problem.invalidField("connections", "at least 0") }
        return try Response.json(try await presence.heartbeat(gatewayID, announcement))
    }

    /// `POST /internal/events`.
    private func events(_ request: Request) async throws -> Response {
        let batch = try await request.json(PresenceEvents.self, upTo: Self.bodyBytesMax)
        guard batch.events.count <= PresenceEvents.eventsMax else {
            throw Problem.invalidField("events", "at most \(PresenceEvents.eventsMax)")
        }
        guard (1..<Self.numberMax).contains(batch.first) else { throw Problem.invalidField("first", "from 1 on") }
        let events = try batch.events.map(Self.event)
        return try Response.json(
            try await presence.apply(
                events,
                from: batch.gatewayID,
                registration: batch.registration,
                first: batch.first
            )
        )
    }

    /// `POST /internal/locate`.
    private func locate(_ request: Request) async throws -> Response {
        let body = try await request.json(LocateRequest.self, upTo: Self.bodyBytesMax)
        guard body.userIDs.count <= LocateRequest.userIDsMax else {
            throw Problem.invalidField("user_ids", "at most \(LocateRequest.userIDsMax)")
        }
        return try Response.json(await presence.locate(body.userIDs))
    }

    /// `GET /internal/changes`.
    private func changes(_ request: Request) async throws -> Response {
        let query = request.query
        let epoch = try query.text("epoch", bytesMax: 64)
        let after = try query.integer("after", in: 0...Self.numberMax) ?? 0
        let wait = try query.integer("wait", in: 0...Self.waitSecondsMax) ?? 0
        let deadline = wait == 0 ? nil : clock().monotonic + Milliseconds(wait) * 1000
        let queue = try query.integer("queue", in: 0...Self.numberMax)
        let question = ChangeFeed.Question(epoch: epoch, after: after, queue: queue)
        let answer = await presence.feed.answer(question, until: deadline)
        return try Response.json(PresenceChangePage(answer, epoch: presence.feed.epoch, after: after))
    }

    /// `PUT /internal/users/{user_id}/status`.
    private func setStatus(_ request: Request) async throws -> Response {
        let userID = request.parameters["user_id"] ?? ""
        guard Identifier.isUserID(userID) else { throw Problem.badRequest("user_id: 1 to 64 of A-Z a-z 0-9 _ . -") }
        let change = try await request.json(StatusChange.self, upTo: PresenceRoutes.bodyBytesMax)
        _ = try await presence.setStatus(try ChosenStatus(change), of: userID)
        return Response(.noContent)
    }

    /// `GET /internal/users`.
    private func users(_ request: Request) async throws -> Response {
        let query = request.query
        return try Response.json(
            await presence.snapshot(
                type: try query.userType(),
                after: try query.cursor(),
                limit: try query.integer("limit", in: 1...Self.snapshotMax) ?? Self.snapshotMax
            )
        )
    }

    // MARK: -

    private static func event(_ event: PresenceEvent) throws(Problem) -> PresenceState.Event {
        func userID() throws(Problem) -> String {
            guard let userID = event.userID, Identifier.isUserID(userID) else {
                throw .invalidField("events.user_id", "1 to 64 of A-Z a-z 0-9 _ . -")
            }
            return userID
        }
        switch event.kind {
        case .announceBegin: return .announceBegin
        case .announceEnd: return .announceEnd
        case .leave:
            let silent = event.silentMilliseconds ?? 0
            guard (0...silentMillisecondsMax).contains(silent) else {
                throw .invalidField("events.silent_ms", "from 0 to \(silentMillisecondsMax)")
            }
            return .leave(userID: try userID(), silent: Milliseconds(silent))
        case .join:
            guard let userName = event.userName else { throw .invalidField("events.user_name", "required") }
            guard let userType = event.userType else { throw .invalidField("events.user_type", "Kehu or Kefu") }
            let kept = String(String.UnicodeScalarView(userName.unicodeScalars.prefix(userNameScalarsMax)))
            return .join(.init(userID: try userID(), userName: kept, userType: userType))
        }
    }
}

extension PresenceChangePage {
    fileprivate init(_ answer: ChangeFeed.Answer, epoch: String, after: Int) {
        switch answer.changes {
        case .upToDate: self.init(epoch: epoch, next: after, reset: false, changes: [])
        case .reset(let next): self.init(epoch: epoch, next: next, reset: true, changes: [])
        case .changes(let changes, let next):
            self.init(epoch: epoch, next: next, reset: false, changes: changes.map(PresenceChange.init))
        }
        decisions = answer.decisions.isEmpty ? nil : answer.decisions
        queue = answer.queue
    }
}

extension PresenceChange {
    fileprivate init(_ change: ChangeHistory.Change) {
        let news = change.news
        let kind: Kind =
            switch news.kind {
            case .joined: .joined
            case .left: .left
            case .status: .status
            }
        self.init(
            version: change.version,
            kind: kind,
            userID: news.identity.userID,
            userName: news.identity.userName,
            userType: news.identity.userType,
            status: kind == .left ? .offline : news.status.shown,
            at: news.at
        )
    }
}

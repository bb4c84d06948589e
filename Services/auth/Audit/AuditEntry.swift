import Contracts
import Core

/// Who does something, and by which request.
struct Actor: Sendable, Equatable {
    /// `nil`: nobody who is logged in, or the operator on the command line.
    var userID: String?
    var remoteAddress: String?
    var requestID: String?

    /// The operator, by a command.
    static let command = Actor()
}

/// One line of the audit trail: who did what to whom, when and from where.
struct AuditEntry: Sendable, Equatable {
    /// The id under which another service reported it; stored once.
    var reportID: String?
    let at: Timestamp
    let event: AuditEvent
    let actor: Actor
    /// The user it was done to.
    var userID: String?
    var conversationID: String?
    /// Further words, such as the members that were changed; no secrets.
    var details: [String: String] = [:]

    init(
        _ event: AuditEvent,
        by actor: Actor,
        at: Timestamp,
        userID: String? = nil,
        conversationID: String? = nil,
        details: [String: String] = [:],
        reportID: String? = nil
    ) {
        self.event = event
        self.actor = actor
        self.at = at
        self.userID = userID
        self.conversationID = conversationID
        self.details = details
        self.reportID = reportID
    }

    /// What another service has reported.
    init(_ reported: AuditReport.Entry) {
        let event: AuditEvent =
            switch reported.event {
            case .conversationRead: .conversationRead
            }
        self.init(
            event,
            by: Actor(
                userID: reported.actorID,
                remoteAddress: reported.remoteAddress,
                requestID: reported.requestID
            ),
            at: reported.at,
            conversationID: reported.conversationID,
            reportID: reported.id
        )
    }
}

/// Which entries of the trail are asked for; a member that is `nil` leaves all in.
struct AuditFilter: Sendable, Equatable {
    var event: AuditEvent?
    var actorID: String?
    var userID: String?
    var conversationID: String?
    /// From this time on.
    var from: Timestamp?
    /// Before this time.
    var to: Timestamp?
}

/// An entry's place in the trail, which is read backwards; the last one of a page is where the next begins.
struct AuditPosition: Sendable, Equatable {
    let at: Timestamp
    let number: Int

    init(at: Timestamp, number: Int) {
        self.at = at
        self.number = number
    }

    /// Reads `cursor`'s text; `nil` for anything that is not one.
    init?(cursor: String) {
        let parts = cursor.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let at = Int64(parts[0]), let number = Int(parts[1]) else { return nil }
        self.init(at: Timestamp(milliseconds: at), number: number)
    }

    /// The place as a page's `next_cursor`.
    var cursor: String { "\(at.milliseconds).\(number)" }
}

package import Core

/// `POST /internal/events` (presence): batched joins and leaves, applied once, in order.
///
/// A gap in the numbers, or an unknown registration, is 409 `conflict`: announce everything again.
///
/// ```json
/// {"gateway_id":"g1","registration":3,"first":41,
///  "events":[{"kind":"join","user_id":"user123","user_name":"张三","user_type":"Kehu"}]}
/// ```
package struct PresenceEvents: Codable, Sendable, Equatable {
    package var gatewayID: String
    /// From the gateway's registration.
    package var registration: Int
    /// The running number of the first event within the registration, from 1.
    package var first: Int
    /// At most `eventsMax`.
    package var events: [PresenceEvent]

    /// The most events in one request; more is 422.
    package static let eventsMax = 1000

    package init(gatewayID: String, registration: Int, first: Int, events: [PresenceEvent]) {
        self.gatewayID = gatewayID
        self.registration = registration
        self.first = first
        self.events = events
    }

    private enum CodingKeys: String, CodingKey {
        case gatewayID = "gateway_id"
        case registration
        case first
        case events
    }
}

/// One join or leave on a gateway.
///
/// ```json
/// {"kind":"join","user_id":"user123","user_name":"张三","user_type":"Kehu"}
/// ```
package struct PresenceEvent: Codable, Sendable, Equatable {
    /// What happened.
    package enum Kind: String, Codable, Sendable {
        /// The user's first connection on this gateway.
        case join
        /// The user's last connection on this gateway is gone.
        case leave
    }

    package var kind: Kind
    package var userID: String
    package var userName: String
    package var userType: UserType

    package init(kind: Kind, userID: String, userName: String, userType: UserType) {
        self.kind = kind
        self.userID = userID
        self.userName = userName
        self.userType = userType
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
    }
}

/// The answer of `POST /internal/events`.
///
/// ```json
/// {"accepted_through":41}
/// ```
package struct PresenceEventsAnswer: Codable, Sendable, Equatable {
    /// The number of the last event applied.
    package var acceptedThrough: Int

    package init(acceptedThrough: Int) {
        self.acceptedThrough = acceptedThrough
    }

    private enum CodingKeys: String, CodingKey {
        case acceptedThrough = "accepted_through"
    }
}

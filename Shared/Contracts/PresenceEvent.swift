package import Core

/// `POST /internal/events` (presence): batched joins and leaves, applied once, in order.
///
/// The stream of a registration begins with an announcement: `announce_begin`, a `join` for each user who is there,
/// `announce_end`, over any number of batches; users not named in it have left. Numbers run from 1 and never restart;
/// an `announce_begin` that is the first of its batch may skip some. A gap otherwise, events before the first
/// announcement, or an unknown registration, is 409 `conflict`: announce everything again.
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

/// One event on a gateway.
///
/// ```json
/// {"kind":"join","user_id":"user123","user_name":"张三","user_type":"Kehu"}
/// {"kind":"leave","user_id":"user123","silent_ms":1200}
/// {"kind":"announce_begin"}
/// ```
package struct PresenceEvent: Codable, Sendable, Equatable {
    /// What happened.
    package enum Kind: String, Codable, Sendable {
        /// The gateway has a connection of the user's; saying so again is allowed and changes nothing.
        case join
        /// The user's last connection on this gateway is gone.
        case leave
        /// From here on the gateway names all its users again.
        case announceBegin = "announce_begin"
        /// All are named: whoever was not, since the last `announce_begin`, has left.
        case announceEnd = "announce_end"
    }

    package var kind: Kind
    /// On `join` and `leave`.
    package var userID: String?
    /// On `join`.
    package var userName: String?
    /// On `join`.
    package var userType: UserType?
    /// On `leave`: how long nothing had been heard of the user, in milliseconds; 0 when left out.
    package var silentMilliseconds: Int?

    package init(
        kind: Kind,
        userID: String? = nil,
        userName: String? = nil,
        userType: UserType? = nil,
        silentMilliseconds: Int? = nil
    ) {
        self.kind = kind
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.silentMilliseconds = silentMilliseconds
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case silentMilliseconds = "silent_ms"
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
    /// Users of this batch for whom presence has no room: nobody will find them.
    ///
    /// Left out when there are none.
    package var refused: [String]?

    package init(acceptedThrough: Int, refused: [String]? = nil) {
        self.acceptedThrough = acceptedThrough
        self.refused = refused
    }

    private enum CodingKeys: String, CodingKey {
        case acceptedThrough = "accepted_through"
        case refused
    }
}

/// `POST /internal/locate` (presence): the gateways where users are connected.
///
/// ```json
/// {"user_ids":["user123","support001"]}
/// ```
package struct LocateRequest: Codable, Sendable, Equatable {
    /// At most `userIDsMax`.
    package var userIDs: [String]

    /// The most ids in one request; more is 422.
    package static let userIDsMax = 1000

    package init(userIDs: [String]) {
        self.userIDs = userIDs
    }

    private enum CodingKeys: String, CodingKey {
        case userIDs = "user_ids"
    }
}

/// The answer of `POST /internal/locate`.
///
/// ```json
/// {"locations":{"user123":["g1","g2"],"support001":[]},"lease_ms":5000}
/// ```
package struct Locations: Codable, Sendable, Equatable {
    /// The gateways' ids for each user asked for; none for a user who is nowhere.
    package var locations: [String: [String]]
    /// Good for this long, counted from the sending of the look-up.
    package var leaseMilliseconds: Int

    package init(locations: [String: [String]], leaseMilliseconds: Int) {
        self.locations = locations
        self.leaseMilliseconds = leaseMilliseconds
    }

    private enum CodingKeys: String, CodingKey {
        case locations
        case leaseMilliseconds = "lease_ms"
    }
}

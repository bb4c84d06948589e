/// One ended session, in the order of their commits.
///
/// ```json
/// {"number":7,"session_hash":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","replaced_by":"wHZo3Qj…"}
/// ```
package struct Revocation: Codable, Sendable, Equatable {
    /// 1, 2, 3 … within the feed's epoch.
    package var number: Int
    /// base64url SHA-256 of the session's id, without padding.
    package var sessionHash: String
    /// After a refresh: the hash of the session that took its place.
    package var replacedBy: String?

    package init(number: Int, sessionHash: String, replacedBy: String? = nil) {
        self.number = number
        self.sessionHash = sessionHash
        self.replacedBy = replacedBy
    }

    private enum CodingKeys: String, CodingKey {
        case number
        case sessionHash = "session_hash"
        case replacedBy = "replaced_by"
    }
}

/// The answer of `GET /internal/revocations?epoch=E&after=N&wait=S` (auth): a long poll.
///
/// Without `epoch` the answer is a reset that names the epoch and its newest number. `wait` is in seconds, 0…30.
///
/// ```json
/// {"epoch":"k3J9","next":8,"reset":false,"revocations":[{"number":7,"session_hash":"47DEQ…"}],
///  "changed_users":["user123"]}
/// ```
package struct RevocationPage: Codable, Sendable, Equatable {
    /// Numbers of different epochs have nothing to do with each other.
    package var epoch: String
    /// What to ask `after` next.
    package var next: Int
    /// The epoch is unknown or the number trimmed away: verify every session again.
    package var reset: Bool
    /// Empty when the wait ended without news, or on a reset.
    package var revocations: [Revocation]
    /// Users whose account was changed or deleted: what was read of it before is to be read again.
    ///
    /// Empty on a reset, which says so of every user.
    package var changedUsers: [String]

    package init(
        epoch: String,
        next: Int,
        reset: Bool,
        revocations: [Revocation] = [],
        changedUsers: [String] = []
    ) {
        self.epoch = epoch
        self.next = next
        self.reset = reset
        self.revocations = revocations
        self.changedUsers = changedUsers
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        epoch = try values.decode(String.self, forKey: .epoch)
        next = try values.decode(Int.self, forKey: .next)
        reset = try values.decode(Bool.self, forKey: .reset)
        revocations = try values.decode([Revocation].self, forKey: .revocations)
        changedUsers = try values.decodeIfPresent([String].self, forKey: .changedUsers) ?? []
    }

    private enum CodingKeys: String, CodingKey {
        case epoch
        case next
        case reset
        case revocations
        case changedUsers = "changed_users"
    }
}

import Core

/// What the site vouches for in a token that its own login signed.
struct ExchangeToken: Sendable, Equatable {
    let userID: String
    /// The display name, if the site gives one.
    let userName: String?
    /// The token's own id, by which a second use is known.
    let jti: String
    /// From then on nothing accepts the token, the leeway included; until then its `jti` must be remembered.
    let acceptedUntil: Timestamp
}

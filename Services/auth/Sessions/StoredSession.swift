import Core

/// A live session, as it is stored.
struct StoredSession: Sendable, Equatable {
    let hash: SessionHash
    let userID: String
    let createdAt: Timestamp
    /// When it was last seen in use, to about a minute.
    var usedAt: Timestamp
    /// When it ends unless it is used before: the idle limit after `usedAt`, `endsAt` at the latest.
    var expiresAt: Timestamp
    /// When it ends in any case.
    var endsAt: Timestamp
    /// After a refresh: the session in whose favour it ends.
    var replacedBy: SessionHash?
    /// After a refresh: what the successor's id is made of, together with this one's.
    var successorNonce: [UInt8]?
}

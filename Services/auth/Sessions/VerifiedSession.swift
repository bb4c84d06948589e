import Core

/// A session with the side of its account that others may know.
struct VerifiedSession: Sendable, Equatable {
    var session: StoredSession
    let userName: String
    let userType: UserType
    let isAdmin: Bool
}

/// A session just made, with its id on the way to the owner.
struct IssuedSession: Sendable {
    let id: String
    let verified: VerifiedSession
}

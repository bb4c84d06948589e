import Core

/// Who asks, as their session says.
struct Caller: Sendable, Equatable {
    let userID: String
    let userName: String
    let userType: UserType
}

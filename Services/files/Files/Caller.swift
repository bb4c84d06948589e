import Core
import HTTP

/// Who makes a request, as far as files care.
struct Caller: Sendable, Equatable {
    var userID: String
    var userType: UserType
    var isAdmin: Bool
    /// Where the request comes from, as limits count it (`ClientNetwork`).
    var network = ""
}

/// Finds out who makes a request; throws the 401 or 503 that answers it otherwise.
typealias Authenticate = @Sendable (Request) async throws -> Caller

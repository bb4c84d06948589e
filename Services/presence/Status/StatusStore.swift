import Core

/// What presence keeps beyond its own life: the users' chosen statuses, and roughly when they were last there.
///
/// Who is online is not kept: the gateways know.
protocol StatusStore: Sendable {
    /// Every stored status other than `online`.
    func statuses() async throws -> [String: ChosenStatus]

    /// Stores a user's choice; durable on return.
    func save(_ status: ChosenStatus, of userID: String) async throws

    /// Stores when users were last there.
    func record(lastSeen: [String: Timestamp]) async throws

    /// When the user was last there; `nil` if never recorded.
    func lastSeen(of userID: String) async throws -> Timestamp?

    /// Succeeds when the store answers.
    func ping() async throws
}

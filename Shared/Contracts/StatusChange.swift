/// `PUT /api/presence/me`, and `PUT /internal/users/{user_id}/status` (presence) for what a user has sent to a gateway.
///
/// Stored, then shown; the internal answer is an empty 204. `Offline` is nobody's choice: 422.
///
/// ```json
/// {"status":"Busy"}
/// ```
package struct StatusChange: Codable, Sendable, Equatable {
    package var status: PresenceStatus

    package init(status: PresenceStatus) {
        self.status = status
    }

    private enum CodingKeys: String, CodingKey {
        case status
    }
}

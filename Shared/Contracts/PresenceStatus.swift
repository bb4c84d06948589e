/// A user's status as agents see it; the user's, not the connection's.
package enum PresenceStatus: String, Codable, Sendable, CaseIterable {
    case online = "Online"
    case busy = "Busy"
    case away = "Away"
    case offline = "Offline"
}

/// `PUT /internal/users/{user_id}/status` (presence): the user's own choice, as `PUT /api/presence/me` takes it.
///
/// Stored, then shown. The answer is an empty 204; 422 for `Offline`.
///
/// ```json
/// {"status":"Busy"}
/// ```
package struct StatusRequest: Codable, Sendable, Equatable {
    package var status: PresenceStatus

    package init(status: PresenceStatus) {
        self.status = status
    }
}

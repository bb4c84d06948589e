/// The stable machine words of every error that leaves the system, in one list: the `code` of a problem
/// document, and of a gateway `Error` frame.
package enum ProblemCode: String, Sendable, CaseIterable {
    // What any service may answer.
    case badRequest = "bad_request"
    case malformedJSON = "malformed_json"
    case unauthenticated
    case sessionEnded = "session_ended"
    case forbidden
    case originNotAllowed = "origin_not_allowed"
    case notFound = "not_found"
    case methodNotAllowed = "method_not_allowed"
    case conflict
    case tooLarge = "too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case rangeNotSatisfiable = "range_not_satisfiable"
    case invalidField = "invalid_field"
    case upgradeRequired = "upgrade_required"
    case tooManyRequests = "too_many_requests"
    case headersTooLarge = "headers_too_large"
    case requestTimeout = "request_timeout"
    case internalError = "internal_error"
    case notImplemented = "not_implemented"
    case unavailable
    case storageFull = "storage_full"
    // auth
    case invalidCredentials = "invalid_credentials"
    case tooManyAttempts = "too_many_attempts"
    case userExists = "user_exists"
    case lastAdministrator = "last_administrator"
    case guestsDisabled = "guests_disabled"
    case exchangeDisabled = "exchange_disabled"
    case invalidToken = "invalid_token"
    // files
    case invalidBase64 = "invalid_base64"
    case fileNotFound = "file_not_found"
    case preconditionFailed = "precondition_failed"
    case malformedMultipart = "malformed_multipart"
    case quotaExceeded = "quota_exceeded"
    case uploadExpired = "upload_expired"
    case uploadLocked = "upload_locked"
    case offsetMismatch = "offset_mismatch"
    case checksumMismatch = "checksum_mismatch"
    // gateway
    case unknownType = "unknown_type"
    case tooManyConnections = "too_many_connections"
    case recipientUnknown = "recipient_unknown"
    case recipientForbidden = "recipient_forbidden"
    case noAgentAvailable = "no_agent_available"
    case syncUnexpected = "sync_unexpected"
    // gateway: the rules for frames' members; one that is missing or of another JSON type is `invalid_field`.
    case contentEmpty = "content_empty"
    case contentTooLong = "content_too_long"
    case contentTypeUnknown = "content_type_unknown"
    case senderMismatch = "sender_mismatch"
    case clientIDLength = "client_id_length"
    case clientIDReused = "client_id_reused"
    case idMalformed = "id_malformed"
    case recipientRequired = "recipient_required"
    case targetAmbiguous = "target_ambiguous"
    case tooManyCursors = "too_many_cursors"
    case cursorRepeated = "cursor_repeated"
    case numberOutOfRange = "number_out_of_range"
    case bothBounds = "both_bounds"
    case statusUnknown = "status_unknown"
    case userTypeUnknown = "user_type_unknown"
    case cursorOutOfRange = "cursor_out_of_range"
    case conversationUnknown = "conversation_unknown"
    case messageUnknown = "message_unknown"
    case recallForbidden = "recall_forbidden"
    case recallTooLate = "recall_too_late"
    case draining
    /// The session that a frame brings belongs to another user.
    case sessionMismatch = "session_mismatch"
    // presence
    case agentAtCapacity = "agent_at_capacity"
    case agentUnavailable = "agent_unavailable"
    case conversationClosed = "conversation_closed"
    case queueFull = "queue_full"
}

/// An error as the wire shows it: RFC 9457 `application/problem+json`
/// `{"type","title","status","detail","code"}`.
///
/// Service errors are turned into one at the edge of each service; anything else becomes
/// `internal_error` without its text.
package struct Problem: Error, Sendable, Equatable {
    /// The HTTP status, 400…599.
    package var status: Int
    package var code: ProblemCode
    /// For people: names the field and the rule.
    package var detail: String
    /// Further header fields of the answer, such as `Retry-After` or `Allow`.
    package var headers: [Header]
    /// The members of the body that break a rule, when the answer names each (RFC 9457 §3, the example's `errors`).
    package var errors: [FieldError]

    /// One header field that goes with the answer.
    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// One member of a request's body, and the rule that it breaks.
    package struct FieldError: Sendable, Equatable {
        /// Member names from the top, with dots; `user_name`.
        package var field: String
        /// What it must be, such as `must be true or false`.
        package var rule: String

        package init(_ field: String, _ rule: String) {
            self.field = field
            self.rule = rule
        }
    }

    package init(
        _ status: Int,
        _ code: ProblemCode,
        _ detail: String,
        headers: [Header] = [],
        errors: [FieldError] = []
    ) {
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.errors = errors
    }

    /// 400: the request cannot be understood.
    package static func badRequest(_ detail: String) -> Problem { Problem(400, .badRequest, detail) }

    /// 401, with the challenge that RFC 9110 §11.6.1 asks for.
    package static func unauthenticated(_ detail: String) -> Problem {
        Problem(401, .unauthenticated, detail, headers: [Header("WWW-Authenticate", "Bearer")])
    }

    /// 403: known, and not allowed.
    package static func forbidden(_ detail: String) -> Problem { Problem(403, .forbidden, detail) }

    /// 404: not there, or not for the caller to know of.
    package static func notFound(_ detail: String) -> Problem { Problem(404, .notFound, detail) }

    /// 422: valid JSON whose member `field` breaks `rule`.
    package static func invalidField(_ field: String, _ rule: String) -> Problem {
        invalidFields([FieldError(field, rule)])
    }

    /// 422: valid JSON of which each of `errors`, at least one, breaks a rule.
    package static func invalidFields(_ errors: [FieldError]) -> Problem {
        let detail = errors.map { "\($0.field): \($0.rule)" }.joined(separator: "; ")
        return Problem(422, .invalidField, detail, errors: errors)
    }

    /// 503: something this answer depends on does not answer.
    package static func unavailable(_ detail: String, retryAfterSeconds: Int = 1) -> Problem {
        Problem(503, .unavailable, detail, headers: [Header("Retry-After", String(retryAfterSeconds))])
    }
}

/// An error with an answer of its own on the wire.
package protocol ProblemConvertible: Error {
    /// The answer that a caller gets for this error.
    var problem: Problem { get }
}

extension Problem: ProblemConvertible {
    package var problem: Problem { self }
}

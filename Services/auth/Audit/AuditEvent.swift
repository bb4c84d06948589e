import Core

/// What is kept in the audit trail; the word is the entry's `event` and the log line's.
struct AuditEvent: Sendable, Equatable {
    private let name: StaticString
    /// Whether anybody can make such entries, without an account: these, and whatever customers do, have a smaller
    /// share of the table, so that a flood of them does not push out the others.
    let isAnonymous: Bool

    private init(_ name: StaticString, isAnonymous: Bool = false) {
        self.name = name
        self.isAnonymous = isAnonymous
    }

    static let login = AuditEvent("login")
    /// A wrong password, or one for an account that may not log in.
    static let loginFailed = AuditEvent("login_failed", isAnonymous: true)
    static let guestLogin = AuditEvent("guest_login", isAnonymous: true)
    /// A login with a token of the operator's own site.
    static let exchangeLogin = AuditEvent("exchange_login")
    static let logout = AuditEvent("logout")
    /// Sessions were ended by their user, or by an administrator.
    static let sessionsEnded = AuditEvent("sessions_ended")
    static let userCreated = AuditEvent("user_created")
    static let userUpdated = AuditEvent("user_updated")
    static let userDeleted = AuditEvent("user_deleted")
    /// By the user, who knew the old one.
    static let passwordChanged = AuditEvent("password_changed")
    /// By somebody else.
    static let passwordReset = AuditEvent("password_reset")
    /// An agent has read a customer's conversation; reported by the gateway.
    static let conversationRead = AuditEvent("conversation_read")

    static let all = [
        login, loginFailed, guestLogin, exchangeLogin, logout, sessionsEnded, userCreated, userUpdated, userDeleted,
        passwordChanged, passwordReset, conversationRead,
    ]

    /// The event of that word.
    init?(word: String) {
        guard let known = Self.all.first(where: { $0.word.hasBytes(of: word) }) else { return nil }
        self = known
    }

    /// The event's word.
    var word: String { name.description }

    /// The same for a log line.
    var logName: StaticString { name }

    static func == (a: AuditEvent, b: AuditEvent) -> Bool { a.word == b.word }
}

import Core

/// One person's account.
struct Account: Sendable, Equatable {
    /// The name to log in with; never given out again after a deletion.
    var userID: String
    /// The display name.
    var userName: String
    var userType: UserType
    /// Only an agent can be an administrator.
    var isAdmin = false
    var isDisabled = false
    /// Conversations at once, for an agent; `nil`: the stack's default.
    var capacity: Int?
    var createdAt: Timestamp
    /// crypt(3)'s text; `nil`: nobody can log in with a password.
    var passwordHash: String?

    /// What a guest's generated id begins with; nobody else's may.
    static let guestPrefix = "guest-"

    /// Whether `text` may be a person's id: the path segments of the API, the log's own sender and guests' names
    /// are kept free.
    static func isAssignableID(_ text: String) -> Bool {
        Identifier.isUserID(text) && !["me", "online", "system"].contains(text) && !text.hasPrefix(guestPrefix)
    }

    /// What an agent's `capacity` may be.
    static let capacityRange = 1...1000

    /// The longest display name, in bytes of UTF-8.
    static let userNameBytesMax = 128

    /// Whether `text` may be a display name: 1 to 128 bytes, no control characters, not blank.
    static func isUserName(_ text: String) -> Bool {
        (1...userNameBytesMax).contains(text.utf8.count)
            && !text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
            && !text.allSatisfy(\.isWhitespace)
    }
}

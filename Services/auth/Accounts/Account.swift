import Core
import Foundation

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
    /// Grows with whatever ends all sessions: a login that began under an older one does not become a session.
    var revision = 1
    /// When a guest's account is deleted; `nil` for everybody else.
    var expiresAt: Timestamp?

    /// What a guest's generated id begins with; nobody else's may.
    static let guestPrefix = "guest-"

    /// Whether `text` may be a person's id: the path segments of the API, the log's own sender and guests' names
    /// are kept free.
    static func isAssignableID(_ text: String) -> Bool {
        Identifier.isUserID(text) && !["me", "online", "system"].contains(text) && !text.hasPrefix(guestPrefix)
    }

    /// What `isAssignableID` wants, as a refusal says it.
    static let userIDRule = "must be 1 to 64 of A-Z a-z 0-9 _ . -, and not ., .., me, online, system or guest-…"

    /// What an agent's `capacity` may be.
    static let capacityRange = 1...1000

    /// The longest display name, in bytes of UTF-8.
    static let userNameBytesMax = 128
    /// How much longer a text may be before it is normalised: NFC has at least a third of the bytes of any other form.
    private static let unnormalizedFactor = 4

    /// What a display name must be, as a refusal says it.
    static let userNameRule =
        "must have 1 to \(userNameBytesMax) bytes of UTF-8, something to see among them, "
        + "and no control, format or line separator characters"

    /// `text` as a display name: in Unicode's form NFC, without white space around it.
    ///
    /// - Returns: `nil` when it breaks `userNameRule`. Of the format characters U+200C and U+200D are allowed, which
    ///   Persian, several Indian scripts and emoji are written with; direction marks could turn a line around.
    static func normalizedName(_ text: String) -> String? {
        // Before the work: to normalise takes the square of a run of combining marks.
        guard text.utf8.count <= userNameBytesMax * unnormalizedFactor else { return nil }
        let scalars = text.precomposedStringWithCanonicalMapping.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return nil }
        let name = String(scalars[first...last])
        let isVisible = name.unicodeScalars.contains { !$0.properties.isDefaultIgnorableCodePoint }
        guard isVisible, name.utf8.count <= userNameBytesMax, name.unicodeScalars.allSatisfy(isNameScalar) else {
            return nil
        }
        return name
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .format: scalar == "\u{200C}" || scalar == "\u{200D}"
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}

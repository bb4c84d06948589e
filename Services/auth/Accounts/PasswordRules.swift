import Crypto
import Foundation

/// What a password must be: long enough, not the user's name, on no list of common ones.
struct PasswordRules: Sendable {
    /// The fewest characters, as people count them.
    let charactersMin: Int
    private let common: CommonPasswords

    init(charactersMin: Int = 8, common: CommonPasswords = CommonPasswords()) {
        self.charactersMin = charactersMin
        self.common = common
    }

    /// The form that is hashed, at setting as at logging in: Unicode's NFC, since keyboards differ in how they type an
    /// accent (RFC 8265 §4.2.2).
    ///
    /// What is too long in any form, and so is refused after this, stays as it is: to normalise takes the square of a
    /// run of combining marks, and anybody may send one.
    static func normalized(_ password: String) -> String {
        guard password.utf8.count <= unnormalizedBytesMax else { return password }
        return password.precomposedStringWithCanonicalMapping
    }

    /// NFC has at least a third of the bytes of any other form.
    private static let unnormalizedBytesMax = 4 * PasswordHash.passwordBytesMax

    /// The rule that `password` breaks, such as `must have at least 8 characters`; `nil` if it may be set.
    func check(_ password: String, userID: String, userName: String) -> String? {
        let password = Self.normalized(password)
        guard password.utf8.count <= PasswordHash.passwordBytesMax else {
            return "must have at most \(PasswordHash.passwordBytesMax) bytes of UTF-8"
        }
        guard !password.utf8.contains(0) else { return "must not contain U+0000" }
        guard password.count >= charactersMin else { return "must have at least \(charactersMin) characters" }
        let lowercased = password.lowercased()
        guard lowercased != userID.lowercased(), lowercased != userName.lowercased() else {
            return "must not be the user's name"
        }
        guard Set(lowercased).count > 1 else { return "must not be one character over and over" }
        guard !common.contains(lowercased) else { return "must not be one of the most common passwords" }
        return nil
    }
}

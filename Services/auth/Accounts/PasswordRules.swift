import Core
import Crypto

/// What a password must be (DESIGN §3.1): at least 8 characters, not the user's name, on no list of common ones.
enum PasswordRules {
    static let charactersMin = 8

    /// Throws `AuthError.invalidField("password", …)` naming the rule that `password` breaks.
    static func check(_ password: String, userID: String, userName: String) throws(AuthError) {
        guard password.utf8.count <= PasswordHash.passwordBytesMax else {
            throw .invalidField("password", rule: "must have at most \(PasswordHash.passwordBytesMax) bytes of UTF-8")
        }
        guard !password.utf8.contains(0) else {
            throw .invalidField("password", rule: "must not contain U+0000")
        }
        guard password.count >= charactersMin else {
            throw .invalidField("password", rule: "must have at least \(charactersMin) characters")
        }
        let lowercased = password.lowercased()
        guard lowercased != userID.lowercased(), lowercased != userName.lowercased() else {
            throw .invalidField("password", rule: "must not be the user's name")
        }
        guard Set(lowercased).count > 1, !common.contains(lowercased) else {
            throw .invalidField("password", rule: "is one of the most common passwords")
        }
    }

    /// Of the passwords with 8 characters or more that leaked lists have over and over again, in lower case.
    private static let common: Set<String> = [
        "password", "password1", "password12", "password123", "password1234", "passw0rd", "p@ssw0rd", "p@ssword",
        "12345678", "123456789", "1234567890", "0123456789", "987654321", "87654321", "0987654321", "12341234",
        "11223344", "12344321", "123123123", "147258369", "123654789", "789456123", "1234qwer", "12345qwert",
        "qwertyui", "qwertyuiop", "qwerty12", "qwerty123", "qwerty1234", "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx",
        "qazwsxedc", "asdfghjkl", "asdf1234", "zxcvbnm1", "zaq12wsx", "qwer1234", "abcd1234", "abc12345", "abc123456",
        "a1234567", "a12345678", "a123456789", "aa123456", "aa12345678", "iloveyou", "iloveyou1", "sunshine",
        "sunshine1", "princess", "princess1", "football", "football1", "baseball", "baseball1", "trustno1",
        "superman", "batman123", "starwars", "whatever", "letmein1", "letmein123", "welcome1", "welcome123",
        "admin123", "admin1234", "admin12345", "administrator", "changeme", "changeme1", "changeme123", "computer",
        "internet", "michelle", "jennifer", "samantha", "corvette", "maverick", "michael1", "dragon123", "monkey123",
        "master123", "shadow123", "secret123", "support123", "test1234", "testtest", "default1", "guest123",
        "woaini1314", "woaini520", "5201314520", "1314520520", "5201314a", "woaiwojia", "caonima123",
    ]
}

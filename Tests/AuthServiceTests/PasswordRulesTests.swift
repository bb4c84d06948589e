import Foundation
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite("Password rules")
struct PasswordRulesTests {
    private func rule(_ password: String, min: Int = 8) -> String? {
        PasswordRules(charactersMin: min).check(password, userID: "alice-in-w", userName: "Zoé in w.")
    }

    @Test(
        "long enough, not the user's name, not a common one, not one character",
        arguments: [
            ("1234567", "at least 8 characters"), ("éèêëàâä", "at least 8 characters"),
            ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "at least 8 characters"), ("", "at least 8 characters"),
            ("ALICE-IN-W", "name"), ("zoe\u{301} IN W.", "name"),
            ("password", "common"), ("PassWord123", "common"), ("WOAINI1314", "common"), ("darknight", "common"),
            ("aaaaaaaaaaaa", "over and over"), ("AaAaAaAa", "over and over"), ("a\u{0}bcdefgh", "U+0000"),
            (String(repeating: "xy", count: 256), "at most 511 bytes"),
        ]
    )
    func refused(password: String, rule: String) {
        #expect(self.rule(password)?.contains(rule) == true, "\(self.rule(password) ?? "taken")")
    }

    @Test(
        "anything else is taken, in any script",
        arguments: [
            "correct horse", "éèêëàâäü", "我的密码很长很长", "alice-in-w1", "        x", "aaaaaaab",
            String(repeating: "xy", count: 255) + "z",
        ]
    )
    func taken(password: String) { #expect(rule(password) == nil) }

    @Test("the least length is a setting")
    func charactersMin() {
        #expect(rule("twelve chars", min: 12) == nil)
        #expect(rule("twelve chars", min: 13) == "must have at least 13 characters")
    }

    @Test(
        "a composed and a decomposed character are the same password",
        arguments: [
            ("e\u{301}", "\u{E9}"), ("\u{1100}\u{1161}", "\u{AC00}"), ("\u{212B}", "\u{C5}"),
            ("a\u{323}\u{307}", "\u{1EA1}\u{307}"), ("a\u{307}\u{323}", "\u{1EA1}\u{307}"),
            // Excluded from composition.
            ("\u{958}", "\u{915}\u{93C}"), ("ﬁ", "ﬁ"),
        ]
    )
    func normalized(typed: String, hashed: String) {
        // What no form of it could make short enough is not worked on: that takes the square of its length.
        let long = String(repeating: "e\u{301}", count: 1000)
        #expect(PasswordRules.normalized(long).unicodeScalars.count == 2000 && rule(long) != nil)
        #expect(Account.normalizedName(String(repeating: " ", count: 600) + "a") == nil)

        #expect(PasswordRules.normalized(typed).unicodeScalars.elementsEqual(hashed.unicodeScalars))
    }
}

@Suite("Common passwords")
struct CommonPasswordsTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func file(_ bytes: some Sequence<UInt8>) throws -> String {
        let path = directory.file("common")
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test("several thousand are shipped, each of 8 characters or more in lower case")
    func shipped() {
        let all = CommonPasswords.shipped
        #expect(all.count > 5000)
        for password in all {
            #expect(password.count >= 8 && password == password.lowercased() && !password.contains { $0.isWhitespace })
        }
        #expect(all.isSuperset(of: ["password", "12345678", "qwertyuiop", "woaini520", "5201314520", "sunshine"]))
    }

    @Test("a file adds its lines, in any case and line ending, and passes over what can be no password")
    func added() throws {
        let bytes = Array("Correct Horse\r\n\ncafe\u{301} au lait\n".utf8) + [0xFF, 0x0A] + Array("last line".utf8)
        let path = try file(bytes)
        let rules = PasswordRules(common: try CommonPasswords(file: path))
        for password in ["correct horse", "CAF\u{C9} AU LAIT", "last line", "password"] {
            #expect(rules.check(password, userID: "a", userName: "a") == "must not be one of the most common passwords")
        }
        #expect(rules.check("correct horses", userID: "a", userName: "a") == nil)
    }

    @Test("a file is taken up to its limits, and not past them")
    func limits() throws {
        let limits = CommonPasswords.FileLimits(linesMax: 3, bytesMax: 20)
        let fits = ["1\n\n3", "1\n2\n3\n", "12345678901234567890"]
        for text in fits { _ = try CommonPasswords(file: try file(text.utf8), limits: limits) }
        for text in ["1\n\n3\n4", "1\n2\n3\n\n"] {
            #expect(throws: CommonPasswords.FileError(description: "must have at most 3 lines")) {
                try CommonPasswords(file: try file(text.utf8), limits: limits)
            }
        }
        #expect(throws: CommonPasswords.FileError(description: "must have at most 20 bytes")) {
            try CommonPasswords(file: try file("123456789012345678901".utf8), limits: limits)
        }
        #expect(CommonPasswords.FileLimits().linesMax == 1_000_000)
        #expect(CommonPasswords.FileLimits().bytesMax == 32 << 20)
    }

    @Test("a file that cannot be used stops the start, naming the setting")
    func unusable() throws {
        let utf16 = "password1\npassword2\n".utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        for path in [directory.file("missing"), directory.path, try file([]), try file(utf16), try file([0x0A, 0x0A])] {
            let settings = try Settings.development(["auth.common_passwords_file": path])
            let error = #expect(throws: SettingsError.self) { try AuthConfig(settings) }
            #expect(error?.description.hasPrefix("auth.common_passwords_file = \"\(path)\": must ") == true)
        }
    }

    @Test("the settings make the rules")
    func config() throws {
        let path = try file("correct horse\n".utf8)
        let settings = try Settings.development([
            "auth.common_passwords_file": path, "auth.password_characters_min": "10",
        ])
        let rules = try AuthConfig(settings).passwordRules
        #expect(rules.check("correct horse", userID: "a", userName: "a") != nil)
        #expect(rules.check("123xyz789", userID: "a", userName: "a") == "must have at least 10 characters")
        #expect(rules.check("123xyz7890", userID: "a", userName: "a") == nil)
    }
}

@Suite("Display names")
struct DisplayNameTests {
    @Test(
        "are composed, and trimmed of white space",
        arguments: [
            ("张三", "张三"), (" \t\u{3000}Zoe\u{308}\u{A0}\r\n\u{2028}", "Zo\u{EB}"), ("a  b", "a  b"),
            ("نامه\u{200C}ای", "نامه\u{200C}ای"), ("👩\u{200D}🔬", "👩\u{200D}🔬"), ("❤\u{FE0F}", "❤\u{FE0F}"),
            (String(repeating: "a", count: 128), String(repeating: "a", count: 128)),
            // 129 bytes as typed, 128 as kept.
            (String(repeating: "a", count: 126) + "e\u{301}", String(repeating: "a", count: 126) + "\u{E9}"),
        ]
    )
    func accepted(text: String, name: String) {
        #expect(Account.normalizedName(text)?.unicodeScalars.elementsEqual(name.unicodeScalars) == true)
    }

    @Test(
        "are refused with nothing to see, too long, or with what could disturb a line",
        arguments: [
            "", "  ", "\u{200D}", " \u{200C}\u{200D} ", "\u{3164}", "\u{FE0F}", "a\nb", "a\tb", "a\u{0}b", "a\u{7F}b",
            "a\u{85}b", "a\u{202E}b", "a\u{2066}b", "a\u{200B}b", "a\u{FEFF}b", "a\u{AD}b", "a\u{2028}b",
            "a\u{2029}b", "a\u{E000}b", "a\u{378}b", "a\u{FFFF}b", "a\u{E0041}b",
            String(repeating: "a", count: 129), String(repeating: "张", count: 43),
        ]
    )
    func refused(text: String) { #expect(Account.normalizedName(text) == nil) }
}

import Core
import Testing

@Suite("Names of users")
struct IdentifierTests {
    @Test(
        "takes 1 to 64 of the allowed characters",
        arguments: ["a", "A-Z_0.9", "...", "..a", "-", "user123", "guest-1"]
    )
    func taken(name: String) {
        #expect(Identifier.isUserID(name))
        #expect(Identifier.isUserID(Substring(name)))
    }

    @Test(
        "refuses everything else",
        arguments: [
            "", ".", "..", " ", "a b", "a/b", "a:b", "a\\b", "a\"b", "é", "你", "a\n", "\0", "a+b", "a@b", "a%20",
            "K\u{212a}",
            "e\u{301}", "/", "`", "{", "[", "@",
        ]
    )
    func refused(name: String) {
        #expect(!Identifier.isUserID(name))
    }

    @Test("at most 64 characters")
    func length() {
        #expect(Identifier.isUserID(String(repeating: "x", count: 64)))
        #expect(!Identifier.isUserID(String(repeating: "x", count: 65)))
    }

    @Test("the bytes of names are exactly these")
    func bytes() {
        let expected = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
        let found = (UInt8.min ... .max).filter(Identifier.isNameByte)
        #expect(found == expected.utf8.sorted())
    }
}

@Suite("Kinds of users")
struct UserTypeTests {
    @Test(
        "reads wire names and synonyms in any case",
        arguments: [
            ("Kehu", UserType.customer), ("kehu", .customer), ("KEHU", .customer), ("customer", .customer),
            ("Client", .customer), ("Kefu", .agent), ("kEFU", .agent), ("Support", .agent), ("AGENT", .agent),
        ]
    )
    func reads(wire: String, type: UserType) {
        #expect(UserType(wire: wire) == type)
        #expect(UserType(wire: Substring(wire)) == type)
    }

    @Test("knows no others", arguments: ["", "admin", "kehu ", " kefu", "ke", "客户", "agents", "\u{212A}ehu"])
    func refuses(wire: String) {
        #expect(UserType(wire: wire) == nil)
    }

    @Test("is written as the guide has it")
    func written() {
        #expect(UserType.allCases.map(\.rawValue) == ["Kehu", "Kefu"])
    }
}

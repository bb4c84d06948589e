import Core
import Foundation
import Testing

@Suite("Words that clients send")
struct WireWordTests {
    private enum Fruit: String, WireWord {
        case apple = "Apple"
        case pear
    }

    /// What no comparison by Unicode's equivalence should see.
    private static let marks = "a" + String(repeating: "\u{301}", count: 5000)

    @Test("a word is known by its very bytes")
    func words() {
        #expect(Fruit(word: "Apple") == .apple && Fruit(word: Substring("pear")) == .pear)
        for text in ["", "apple", "Apple ", "pear\u{301}", "p\u{E9}ar", Self.marks] {
            #expect(Fruit(word: text) == nil)
        }
    }

    @Test("in JSON it is read by the same rule, and written as it stands")
    func json() throws {
        let decoder = JSONDecoder()
        #expect(try decoder.decode([Fruit].self, from: Data(#"["Apple","pe\u0061r"]"#.utf8)) == [.apple, .pear])
        #expect(throws: DecodingError.self) {
            try decoder.decode(Fruit.self, from: Data("\"\(Self.marks)\"".utf8))
        }
        #expect(String(decoding: try JSONEncoder().encode(Fruit.apple), as: UTF8.self) == #""Apple""#)
    }

    @Test("texts are compared byte for byte")
    func bytes() {
        #expect("é".hasBytes(of: "é") && "ab".dropFirst().hasBytes(of: "b") && "".hasBytes(of: ""))
        #expect(!"\u{E9}".hasBytes(of: "e\u{301}") && !"a".hasBytes(of: "ab") && !"a".hasBytes(of: Self.marks))
        #expect("".isASCII && "a\u{7F}\r\n".isASCII && !"a\u{80}".isASCII && !Self.marks.isASCII)
    }
}

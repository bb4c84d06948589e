import Core
import Foundation
import TestSupport
import Testing

@Suite("JSON strings (RFC 8259 §7)")
struct JSONTextTests {
    @Test(
        "escapes what must be, and nothing else",
        arguments: [
            ("", #""""#), ("abc", #""abc""#), (#"a"b\c"#, #""a\"b\\c""#), ("\n\r\t", #""\n\r\t""#),
            ("\u{0}\u{8}\u{b}\u{c}\u{1f}", #""\u0000\u0008\u000b\u000c\u001f""#),
            ("/é你😀\u{7f}\u{2028}", "\"/é你😀\u{7f}\u{2028}\""),
            // One grapheme to Swift, two characters to JSON.
            ("\r\n", #""\r\n""#), ("\"\u{301}", "\"\\\"\u{301}\""),
        ]
    )
    func vectors(text: String, json: String) {
        #expect(JSONText.quoted(text) == json)
        var output = "x"
        JSONText.appendQuoted(Substring(text), to: &output)
        #expect(output == "x" + json)
    }

    @Test("Foundation reads back every scalar below 0x3000, and random ones")
    func readBack() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let all = (0..<0x3000).compactMap { Unicode.Scalar(UInt32($0)) }
        var texts = [String(String.UnicodeScalarView(all))]
        for _ in 0..<300 {
            let scalars = (0..<20).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0..<0x11_0000, using: &random)) }
            texts.append(String(String.UnicodeScalarView(scalars)))
        }
        for text in texts {
            let json = "[\(JSONText.quoted(text))]"
            let read = try JSONDecoder().decode([String].self, from: Data(json.utf8))
            #expect(read.map { Array($0.unicodeScalars) } == [Array(text.unicodeScalars)], "seed \(seed)")
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import GatewayService

@Suite("JSON scanner (RFC 8259)")
struct JSONScannerTests {
    /// Walks the whole object; the members' keys and values.
    private func scan(_ bytes: [UInt8]) throws(JSONScanError) -> [(key: String, kind: JSONSlice.Kind, text: String)] {
        var members: [(String, JSONSlice.Kind, String)] = []
        var failure: JSONScanError?
        bytes.withUnsafeBytes { buffer in
            do throws(JSONScanError) {
                var scanner = JSONScanner(buffer)
                try scanner.beginObject()
                while let (key, value) = try scanner.nextMember() {
                    members.append((key.text, value.kind, value.text))
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return members
    }

    private func scan(_ text: String) throws(JSONScanError) -> [(key: String, kind: JSONSlice.Kind, text: String)] {
        try scan(Array(text.utf8))
    }

    private func accepts(_ text: String) -> Bool { (try? scan(text)) != nil }

    private static let rich = """
         \t\r\n{"a" : "x\\"y\\\\z\\u00e9\\ud83d\\ude00é😀", "b":[1,-0.5e+10,[],{}, {"k":[null , true,false]}],\
        "c":{"d":"e"} , "e":0,"f":-12.25E-3 ,"":"", "long":"abcdefghijklmnopqrstuvwxyz\\n0123456789" } \n
        """

    @Test(
        "accepts what the grammar allows",
        arguments: [
            "{}", " {} ", "\t\r\n{\t\r\n}\t\r\n", #"{"a":1}"#, #"{"a":-0}"#, #"{"a":0.0}"#, #"{"a":1e5}"#,
            #"{"a":1E+5}"#,
            #"{"a":123456789012345678901234567890}"#, #"{"a":""}"#, #"{"":""}"#, #"{"a":"\"\\\/\b\f\n\r\t\u0041"}"#,
            #"{"a":"\uD83D\uDE00"}"#, #"{"a":"\u0000"}"#, #"{"a":[]}"#, #"{"a":[ ]}"#, #"{"a":[1,2 , 3]}"#,
            #"{"a":{}}"#,
            #"{"a":{ "b" : null }}"#, #"{"a":true,"b":false,"c":null}"#, "{\"a\":\"\u{7f}\"}",
            "{\"a\":\"\u{2028}\u{10ffff}\"}",
            #"{"a":1,"a":2}"#, #"{"a":"\u00E9"}"#, rich,
        ]
    )
    func valid(text: String) {
        #expect(accepts(text))
    }

    @Test(
        "refuses what the grammar does not",
        arguments: [
            "", " ", "{", "}", "[]", "1", "\"a\"", "null", "{}{}", "{} x", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#,
            #"{,"a":1}"#, #"{"a":1 "b":2}"#, #"{"a" 1}"#, #"{a:1}"#, #"{'a':1}"#, #"{"a":01}"#, #"{"a":+1}"#,
            #"{"a":.5}"#,
            #"{"a":1.}"#, #"{"a":1.e3}"#, #"{"a":1e}"#, #"{"a":1e+}"#, #"{"a":-}"#, #"{"a":--1}"#, #"{"a":0x10}"#,
            #"{"a":1a}"#, #"{"a":NaN}"#, #"{"a":Infinity}"#, #"{"a":-Infinity}"#, #"{"a":tru}"#, #"{"a":True}"#,
            #"{"a":truex}"#, #"{"a":nul}"#, #"{"a":fals}"#, #"{"a":[1,]}"#, #"{"a":[,1]}"#, #"{"a":[1 2]}"#,
            #"{"a":[}"#,
            #"{"a":[1}"#, #"{"a":{]}"#, #"{"a":{"b"}}"#, #"{"a":{"b":1,}}"#, #"{"a":"x}"#, #"{"a":"\x"}"#,
            #"{"a":"\'"}"#,
            #"{"a":"\u12"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\U0041"}"#, #"{"a":"\ud800"}"#, #"{"a":"\ud800x"}"#,
            #"{"a":"\ud800\n"}"#, #"{"a":"\ud800\u0041"}"#, #"{"a":"\ud800\ud800"}"#, #"{"a":"\udc00"}"#,
            #"{"a":"\udfff\ud800"}"#, "{\"a\":\"\t\"}", "{\"a\":\"\n\"}", "{\"a\":\"\0\"}", "{\"a\":\"\u{1f}\"}",
            "{\"\u{1}\":1}", "\u{feff}{}", "{\u{a0}}", "{\u{b}}", "{\"a\":1\0}", #"{1:1}"#, #"{null:1}"#, #"{"a"::1}"#,
            #"{"a":1,,"b":2}"#, "{/**/}", #"{"a":1}//"#,
        ]
    )
    func invalid(text: String) {
        #expect(!accepts(text))
    }

    @Test("gives keys, kinds and values as they stand")
    func members() throws {
        let members = try scan(
            #"{ "a" : "x\n\u00e9\ud83d\ude00" ,"\u0062":[1, 2],"c":{"d" : "}"},"e":-1.5e3,"f":true}"#
        )
        #expect(members.map(\.key) == ["a", "b", "c", "e", "f"])
        #expect(members.map(\.kind) == [.string, .array, .object, .number, .true])
        #expect(members.map(\.text) == ["x\né😀", "[1, 2]", #"{"d" : "}"}"#, "-1.5e3", "true"])
    }

    @Test("every truncation of a valid text is refused")
    func truncations() {
        let bytes = Array(Self.rich.utf8)
        let end = bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0
        for count in 0...end {
            // Exactly as many bytes as there are, so that a read past the end would be seen under a sanitizer.
            #expect(throws: JSONScanError.self, "\(count) bytes") { try scan(Array(bytes[..<count])) }
        }
        #expect((try? scan(Array(bytes[...end]))) != nil)
    }

    @Test("a special byte is found at each offset of the eight-byte steps", arguments: 0...24)
    func boundaries(offset: Int) throws {
        for tail in [0, 1, 7, 8, 9] {
            for filler in ["a", "!", "#", "[", "]", "\u{7f}", "é", "😀", "\u{10ffff}", "字"] {
                let before = String(String(repeating: filler, count: offset).unicodeScalars)
                let after = String(repeating: filler, count: tail)
                let plain = try scan(#"{"k":"\#(before)"}"#)
                #expect(plain.map(\.text) == [before])
                let escaped = try scan(#"{"k":"\#(before)\"\\\#(after)"}"#)
                #expect(escaped.map(\.text) == [before + #""\"# + after])
                for control: UInt8 in [0x00, 0x01, 0x1f] {
                    let bytes = Array(#"{"k":"\#(before)"#.utf8) + [control] + Array("\(after)\"}".utf8)
                    #expect(throws: JSONScanError.controlCharacter(offset: 6 + before.utf8.count)) { try scan(bytes) }
                }
                #expect(accepts("{\"k\":\"\(before) \(after)\"}"))
            }
        }
    }

    @Test("nests as deep as the limit, not deeper")
    func depth() {
        func nested(_ levels: Int, _ innermost: String) -> String {
            #"{"a":"# + String(repeating: "[", count: levels) + innermost + String(repeating: "]", count: levels) + "}"
        }
        func objects(_ levels: Int) -> String {
            String(repeating: #"{"a":"#, count: levels) + "{}" + String(repeating: "}", count: levels)
        }
        // The frame's own object is the first level.
        let max = JSONScanner.depthMax
        #expect(accepts(nested(max - 1, "")))
        #expect(throws: JSONScanError.tooDeep) { try scan(nested(max, "")) }
        #expect(accepts(nested(max - 2, "1")))
        #expect(accepts(objects(max - 1)))
        #expect(throws: JSONScanError.tooDeep) { try scan(objects(max)) }
        #expect(throws: JSONScanError.tooDeep) { try scan(nested(100_000, "")) }
        #expect(accepts(#"{"a":[\#(String(repeating: "[],", count: 10_000))[]]}"#))
    }

    @Test("names the offset of what is wrong")
    func offsets() {
        #expect(throws: JSONScanError.unexpectedByte(offset: 5)) { try scan(#"{"a":x}"#) }
        #expect(throws: JSONScanError.trailingBytes(offset: 8)) { try scan(#"{"a":1} x"#) }
        #expect(throws: JSONScanError.badEscape(offset: 7)) { try scan(#"{"a":"x\q"}"#) }
        #expect(throws: JSONScanError.loneSurrogate(offset: 6)) { try scan(#"{"a":"\udc00"}"#) }
        #expect(throws: JSONScanError.notAnObject) { try scan("[1]") }
        #expect(throws: JSONScanError.unexpectedEnd) { try scan(#"{"a":"#) }
        for error: JSONScanError in [.notAnObject, .unexpectedEnd, .tooDeep, .badEscape(offset: 3)] {
            #expect(!error.detail.isEmpty)
        }
    }

    @Test("random mutations are accepted and refused as Foundation does")
    func mutations() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let pieces = Array("{}[]\",:\\ueEtrflsn0123456789+-./ \t\n\u{1}aé😀bDd8cCfF".unicodeScalars)
        let seeds = [
            Self.rich, #"{"type":"Chat","content":"hi \u4f60","to_user_id":"u2","n":[1,2.5,-3e4],"o":{"x":null}}"#,
            #"{"a":"\ud83d\ude00\n","b":{"c":[true,false,[[]]]}}"#,
        ]
        var accepted = 0
        for _ in 0..<6000 {
            var scalars = Array(seeds[Int.random(in: 0..<seeds.count, using: &random)].unicodeScalars)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<scalars.count, using: &random)
                let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                switch Int.random(in: 0..<4, using: &random) {
                case 0: scalars[at] = piece
                case 1: scalars.insert(piece, at: at)
                case 2 where scalars.count > 1: scalars.remove(at: at)
                default: scalars.swapAt(at, Int.random(in: 0..<scalars.count, using: &random))
                }
            }
            let text = scalars.reduce(into: "") { $0.unicodeScalars.append($1) }
            let ours = accepts(text)
            let theirs = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) is [String: Any]
            if ours { accepted += 1 }
            if theirs && !ours {
                // Foundation overlooks a comma before a closing bracket, and nothing else.
                #expect(accepts(withoutTrailingCommas(text)), "seed \(seed): \(text.debugDescription)")
                #expect(withoutTrailingCommas(text) != text, "seed \(seed): \(text.debugDescription)")
            } else if ours && !theirs {
                // Foundation wants numbers to fit a Double; the grammar does not.
                let isLarge = text.range(of: "[eE][+-]?[0-9]{3}", options: .regularExpression) != nil
                #expect(isLarge, "seed \(seed): \(text.debugDescription)")
            }
        }
        #expect(accepted > 100, "mutations should leave some valid")
    }

    private func withoutTrailingCommas(_ text: String) -> String {
        text.replacingOccurrences(of: ",([ \t\r\n]*[}\\]])", with: "$1", options: .regularExpression)
    }
}

@Suite("JSON escapes (RFC 8259 §7)")
struct JSONEscapesTests {
    @Test(
        "decodes",
        arguments: [
            ("", ""), ("plain é😀", "plain é😀"), (#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (#"\u0041\u00e9"#, "Aé"),
            (#"\u00E9\u4F60"#, "é你"), (#"\ud83d\ude00x"#, "😀x"), (#"\uD800\uDC00"#, "\u{10000}"),
            (#"\uDBFF\uDFFF"#, "\u{10ffff}"), (#"\u0000"#, "\0"), (#"\uFFFF"#, "\u{ffff}"), (#"a\\u0041"#, #"a\u0041"#),
        ]
    )
    func decodes(escaped: String, text: String) {
        #expect(Array(escaped.utf8).withUnsafeBytes { JSONEscapes.decode($0) } == text)
    }

    @Test(
        "counts scalars, not bytes",
        arguments: [
            ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 2), ("😀你", 2), (#"\ud83d\ude00"#, 1), (#"\n\u00e9x😀"#, 4),
        ]
    )
    func counts(escaped: String, count: Int) {
        let bytes = Array(escaped.utf8)
        let counted = bytes.withUnsafeBytes {
            JSONEscapes.scalarCount(JSONSlice(kind: .string, bytes: $0, hasEscapes: bytes.contains(0x5c)))
        }
        #expect(counted == count)
    }

    @Test("every scalar comes back from Foundation's escapes and from our own")
    func roundTrip() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                let limit: UInt32 = [0x80, 0x800, 0x1_0000, 0x11_0000][Int.random(in: 0..<4, using: &random)]
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) {
                    text.unicodeScalars.append(scalar)
                }
            }
            let escaped = text.utf16.map { String(format: "\\u%04x", $0) }.joined()
            let decoded = Array(escaped.utf8).withUnsafeBytes { JSONEscapes.decode($0) }
            #expect(Array(decoded.unicodeScalars) == Array(text.unicodeScalars), "seed \(seed)")
        }
    }
}

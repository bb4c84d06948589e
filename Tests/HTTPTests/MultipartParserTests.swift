import Core
import TestSupport
import Testing

@testable import HTTP

/// What came of a multipart body.
private enum Outcome: Equatable {
    case parts([Part])
    case refused(MultipartError)

    struct Part: Equatable {
        var head: Headers
        var body: String
    }
}

/// Feeds the pieces and gathers the parts.
private func parse(
    _ pieces: [[UInt8]],
    boundary: String = "b",
    limits: MultipartParser.Limits = .init()
) -> Outcome {
    var parts: [Outcome.Part] = []
    do throws(MultipartError) {
        var parser = try MultipartParser(boundary: boundary, limits: limits)
        var isOpen = false
        for piece in pieces {
            parser.feed(piece)
            while let event = try parser.next() {
                switch event {
                case .part(let head):
                    #expect(!isOpen)
                    isOpen = true
                    parts.append(Outcome.Part(head: head, body: ""))
                case .body(let bytes):
                    #expect(isOpen && !bytes.isEmpty)
                    parts[parts.count - 1].body += String(decoding: bytes.map { $0 & 0x7F }, as: UTF8.self)
                case .partEnd:
                    #expect(isOpen)
                    isOpen = false
                }
            }
        }
        try parser.finish()
        #expect(!isOpen)
        return .parts(parts)
    } catch {
        return .refused(error)
    }
}

private func parse(_ text: String, boundary: String = "b", limits: MultipartParser.Limits = .init()) -> Outcome {
    parse([Array(text.utf8)], boundary: boundary, limits: limits)
}

private func part(_ body: String, _ head: Headers = [:]) -> Outcome.Part { Outcome.Part(head: head, body: body) }

private struct Sample: Sendable, CustomTestStringConvertible {
    let text: String
    let outcome: Outcome

    init(_ text: String, _ parts: [Outcome.Part]) {
        self.text = text
        outcome = .parts(parts)
    }

    init(_ text: String, _ error: MultipartError) {
        self.text = text
        outcome = .refused(error)
    }

    var testDescription: String { String(reflecting: text) }

    static let all = [
        Sample("--b\r\n\r\nx\r\n--b--\r\n", [part("x")]),
        Sample("--b\r\nA: 1\r\nB:2\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--", [part("x", ["A": "1", "B": "2"]), part("y")]),
        Sample("--b--\r\n", []),
        // Nothing in a part: with and without a line's end of its own (RFC 2046: `headers [CRLF *OCTET]`).
        Sample("--b\r\nA: 1\r\n\r\n\r\n--b--\r\n", [part("", ["A": "1"])]),
        Sample("--b\r\nA: 1\r\n\r\n--b--\r\n", [part("", ["A": "1"])]),
        // What only resembles a boundary.
        Sample(
            "--b\r\n\r\n\r\n--\r\n-b\r\r\n-\r\n\n--b\r--b--b\r\n--b--",
            [part("\r\n--\r\n-b\r\r\n-\r\n\n--b\r--b--b")]
        ),
        Sample("--b\r\n\r\n--B\r\n--b--", [part("--B")]),
        Sample("--b\r\n\r\n\r\n\r\n\r\n--b--", [part("\r\n\r\n")]),
        Sample("--b\r\n\r\n-\r\n--b--", [part("-")]),
        // White space behind a boundary, preamble, epilogue.
        Sample("--b \t\r\n\r\nx\r\n--b-- \t\r\n", [part("x")]),
        Sample("--b\r\n\r\nx\r\n--b-- \t", [part("x")]),
        Sample("a preamble\r\n\r\n-- b\r\n--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nepilogue", [part("x")]),
        Sample("\r\n--b\r\n\r\nx\r\n--b--\r\n", [part("x")]),
        // LF alone ends no line.
        Sample("--b\n\nx\n--b--\n", .malformedBoundaryLine),
        Sample("--b\r\nA: 1\n\nx\r\n--b--", .malformedPartHead(.bareLineFeed)),
        Sample("--b\r\n\r\nx\n--b--\r\n", .truncated),
        Sample("--b\r\n\r\nx\r\n--b--\n", .malformedBoundaryLine),
        Sample("x\n--b\r\n\r\nx", .truncated),
        // Another boundary that begins as ours does, and what else stands behind one.
        Sample("--b\r\n\r\nx\r\n--bc\r\n--b--", .malformedBoundaryLine),
        Sample("--bc\r\n\r\nx\r\n--b--", .malformedBoundaryLine),
        Sample("--b\r\n\r\nx\r\n--b-\r\n--b--", .malformedBoundaryLine),
        Sample("--b\r\n\r\nx\r\n--b--y", .malformedBoundaryLine),
        Sample("--b\r\n\r\nx\r\n--b \r \r\n\r\n", .malformedBoundaryLine),
        Sample("--b\r\n--b--\r\n", .malformedPartHead(.invalidFieldName)),
        Sample("--b\r\nA: 1\r\n B\r\n\r\nx\r\n--b--", .malformedPartHead(.foldedHeader)),
        Sample("--b\r\nA 1\r\n\r\nx\r\n--b--", .malformedPartHead(.invalidFieldName)),
        Sample("--b\r\nA: \u{0}\r\n\r\nx\r\n--b--", .malformedPartHead(.invalidFieldValue)),
        // Ends early.
        Sample("", .truncated),
        Sample("no boundary", .truncated),
        Sample("--b", .truncated),
        Sample("--b\r\n\r\nx", .truncated),
        Sample("--b\r\n\r\nx\r\n--b", .truncated),
        Sample("--b\r\n\r\nx\r\n--b-", .truncated),
        Sample("--b\r\n\r\nx\r\n--b--\r", .truncated),
        Sample("--b\r\nA: 1\r\n", .truncated),
    ]
}

@Suite("Multipart parser")
struct MultipartParserTests {
    @Test("gives the same parts, or the same error, however the body is split", arguments: Sample.all)
    fileprivate func splits(_ sample: Sample) {
        let bytes = Array(sample.text.utf8)
        #expect(parse([bytes]) == sample.outcome)
        for pieces in everySplit(of: bytes) {
            #expect(parse(pieces) == sample.outcome, "\(pieces.map(\.count))")
        }
    }

    @Test("takes a boundary of 1 to 70 of the characters that RFC 2046 allows")
    func boundaries() {
        let good = [
            "x", "'()+_,-./:=?", "a b", "----WebKitFormBoundary7MA4YWxkTrZu0gW", String(repeating: "x", count: 70),
        ]
        for boundary in good {
            let text = "--\(boundary)\r\n\r\nx\r\n--\(boundary)--"
            #expect(parse(text, boundary: boundary) == .parts([part("x")]), "\(boundary)")
        }
        for boundary in ["", "a ", " ", "a\r\nb", "a\"", "ä", "a@b", String(repeating: "x", count: 71)] {
            #expect(parse("", boundary: boundary) == .refused(.invalidBoundary), "\(boundary)")
        }
    }

    @Test("counts a part's head with its line ends, and refuses one byte or one field more than its limits")
    func headLimits() {
        var limits = MultipartParser.Limits()
        limits.partHeadBytesMax = 100
        limits.partHeadFieldsMax = 3
        func body(valueLength: Int) -> String {
            "--b\r\nA: \(String(repeating: "v", count: valueLength))\r\n\r\nx\r\n--b--"
        }
        #expect(parse(body(valueLength: 95), limits: limits) != .refused(.malformedPartHead(.headersTooLarge)))
        #expect(parse(body(valueLength: 96), limits: limits) == .refused(.malformedPartHead(.headersTooLarge)))
        let fields = "--b\r\n" + String(repeating: "A: 1\r\n", count: 3)
        #expect(parse(fields + "\r\nx\r\n--b--", limits: limits) != .refused(.malformedPartHead(.tooManyHeaders)))
        #expect(parse(fields + "A: 1\r\n\r\n", limits: limits) == .refused(.malformedPartHead(.tooManyHeaders)))
        // A head that never ends is refused before it does.
        let endless = "--b\r\nA: " + String(repeating: "v", count: 200)
        #expect(parse(endless, limits: limits) == .refused(.malformedPartHead(.headersTooLarge)))
        #expect(MultipartParser.Limits().partHeadBytesMax == 8192)
    }

    @Test("takes so many parts, and so much around them, and no more")
    func countLimits() {
        var limits = MultipartParser.Limits()
        limits.partsMax = 3
        limits.aroundBytesMax = 10
        limits.paddingBytesMax = 4
        func body(parts: Int) -> String { String(repeating: "--b\r\n\r\nx\r\n", count: parts) + "--b--" }
        #expect(parse(body(parts: 3), limits: limits) == .parts([part("x"), part("x"), part("x")]))
        #expect(parse(body(parts: 4), limits: limits) == .refused(.tooManyParts(countMax: 3)))
        func around(_ before: Int, _ after: Int, padding: Int = 0) -> Outcome {
            let (before, after) = (String(repeating: ".", count: before), String(repeating: ".", count: after))
            let padding = String(repeating: " ", count: padding)
            return parse("\(before)\r\n--b\(padding)\r\n\r\nx\r\n--b--\r\n\(after)", limits: limits)
        }
        #expect(around(10, 10, padding: 4) == .parts([part("x")]))
        #expect(around(11, 0) == .refused(.tooMuchAroundParts(bytesMax: 10)))
        #expect(around(0, 11) == .refused(.tooMuchAroundParts(bytesMax: 10)))
        #expect(around(0, 0, padding: 5) == .refused(.malformedBoundaryLine))
        #expect(MultipartParser.Limits().partsMax == 20)
    }

    @Test("an error is sticky, and what is wrong has an answer of its own")
    func sticky() throws {
        var parser = try MultipartParser(boundary: "b")
        parser.feed(Array("--bad\r\n\r\n".utf8))
        #expect(throws: MultipartError.malformedBoundaryLine) { try parser.next() }
        parser.feed(Array("--b\r\n\r\nx\r\n--b--".utf8))
        #expect(throws: MultipartError.malformedBoundaryLine) { try parser.next() }
        #expect(throws: MultipartError.malformedBoundaryLine) { try parser.finish() }
        #expect(MultipartError.malformedBoundaryLine.problem.status == 400)
        #expect(MultipartError.malformedPartHead(.foldedHeader).problem.code == .malformedMultipart)
        #expect(MultipartError.tooManyParts(countMax: 20).problem.status == 413)
    }

    @Test("holds back no more than a delimiter, and gives whole pieces on without a search in them twice")
    func bounded() throws {
        var parser = try MultipartParser(boundary: "b")
        parser.feed(Array("--b\r\n\r\n".utf8))
        _ = try parser.next()
        var given = 0
        var fed = 0
        for size in [1, 70_000, 3, 65_536, 2] {
            parser.feed([UInt8](repeating: 13, count: size))
            fed += size
            while case .body(let bytes)? = try parser.next() { given += bytes.count }
            #expect(fed - given <= 4)
        }
    }

    @Test("what was put into a form comes out of it, whatever it holds and however it is cut")
    func roundTrip() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("\r\n\r\n--bbx: ".utf8)
        for round in 0..<2000 {
            let boundary = ["b", "bb", "-", "--", "b-b"].randomElement(using: &generator) ?? "b"
            var text = ""
            var expected: [Outcome.Part] = []
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                let bytes = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                }
                let content = String(decoding: bytes, as: UTF8.self)
                // No sender may choose a boundary that its content has.
                if "\r\n\(content)\r\n".utf8.contains(Array("\r\n--\(boundary)".utf8)) { continue }
                text += "--\(boundary)\r\nN: \(expected.count)\r\n\r\n\(content)\r\n"
                expected.append(part(content, ["N": "\(expected.count)"]))
            }
            text += "--\(boundary)--\r\n"
            var pieces: [[UInt8]] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...12, using: &generator))
                pieces.append(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
            let outcome = parse(pieces, boundary: boundary)
            #expect(outcome == .parts(expected), "seed \(seed), round \(round): \(String(reflecting: text))")
        }
    }

    @Test("damage is refused or read the same however it is cut, and never crashes")
    func damage() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        let original = Array("p\r\n--b\r\nA: 1\r\n\r\nx\r\n--\r\ny\r\n--b \r\n\r\nz\r\n--b--\r\ne".utf8)
        let alphabet = Array("\r\n-b x:A".utf8) + [0x00, 0xFF]
        var refusedCount = 0
        for round in 0..<1000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = byte
                case 1: bytes.insert(byte, at: index)
                default: bytes.remove(at: index)
                }
            }
            let whole = parse([bytes])
            if case .refused = whole { refusedCount += 1 }
            let note = "seed \(seed), round \(round): \(String(reflecting: String(decoding: bytes, as: UTF8.self)))"
            for pieces in everySplit(of: bytes) {
                #expect(parse(pieces) == whole, "\(note) \(pieces.map(\.count))")
            }
        }
        #expect((100...980).contains(refusedCount), "seed \(seed): \(refusedCount)")
    }
}

@Suite("Field parameters")
struct FieldParametersTests {
    @Test("reads tokens and quoted strings; names in any case")
    func values() {
        let plain = FieldParameters("Form-Data; name=file; FileName=\"a b; c.txt\"")
        #expect(plain?.value == "form-data")
        #expect(plain?["NAME"] == "file" && plain?["filename"] == "a b; c.txt" && plain?["boundary"] == nil)
        #expect(FieldParameters("multipart/form-data;boundary=x")?["boundary"] == "x")
        #expect(FieldParameters("a \t;\t n=\"\" ;; ")?["n"] == "")
        #expect(FieldParameters("a; n=\"图片.jpg\"")?["n"] == "图片.jpg")
    }

    @Test("a backslash escapes a quote and a backslash, and is itself before anything else")
    func escapes() {
        #expect(FieldParameters(#"a; n="x\"y""#)?["n"] == #"x"y"#)
        #expect(FieldParameters(#"a; n="x\\y""#)?["n"] == #"x\y"#)
        #expect(FieldParameters(#"a; n="C:\dir\f""#)?["n"] == #"C:\dir\f"#)
    }

    @Test(
        "refuses what is malformed, and a parameter that comes twice",
        arguments: [
            "", "; n=x", "a n=x", "a; n", "a; n=", "a; =x", "a; n=\"x", "a; n=\"x\"y", "a; n=x y", "a; n=x; N=y",
            "a; n =x", "a; n= x", #"a; n="x\"#, #"a; n="x\""#,
        ]
    )
    func refused(_ text: String) {
        #expect(FieldParameters(text) == nil)
    }
}

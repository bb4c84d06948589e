import Core
import TestSupport
import Testing

@testable import FilesService

@Suite("Upload document decoder")
struct UploadDocumentDecoderTests {
    private typealias Decoded = (document: UploadDocument, bytes: [UInt8])

    /// Decodes `pieces`, as a route does.
    private func decode(_ pieces: [[UInt8]], fileBytesMax: Int = 1 << 20) throws(FilesError) -> Decoded {
        var decoder = UploadDocumentDecoder(fileBytesMax: fileBytesMax)
        var bytes: [UInt8] = []
        for piece in pieces { try decoder.feed(piece, into: &bytes) }
        return (try decoder.finish(), bytes)
    }

    private func decode(_ text: String, fileBytesMax: Int = 1 << 20) throws(FilesError) -> Decoded {
        try decode([Array(text.utf8)], fileBytesMax: fileBytesMax)
    }

    private func refusal(_ text: String, fileBytesMax: Int = 1 << 20) -> FilesError? {
        do throws(FilesError) {
            _ = try decode(text, fileBytesMax: fileBytesMax)
            return nil
        } catch { return error }
    }

    private static let valid =
        #" {"file_name":"图\u7247 \ud83d\ude00.jpg","x":[1,-2.5e+3,{"a":null,"b":[]},"\"\\"],"#
        + #" "file_data" : "SGVsbG8s\/y\u0041h" , "file_type":"image\/jpeg","y":true} "#

    @Test("reads members in any order, escapes undone, unknown members passed over")
    func valid() throws {
        let result = try decode(Self.valid)
        #expect(result.document == UploadDocument(fileName: "图片 😀.jpg", declaredType: "image/jpeg"))
        #expect(result.bytes == Array("Hello,".utf8) + [0xFF, 0x20, 0x21])
    }

    @Test("gives the same at every split point, and byte by byte")
    func splits() throws {
        let text = Array(Self.valid.utf8)
        let whole = try decode([text])
        for split in 0...text.count {
            let result = try decode([Array(text[..<split]), Array(text[split...])])
            #expect(result.document == whole.document)
            #expect(result.bytes == whole.bytes)
        }
        let single = try decode(text.map { [$0] })
        #expect(single.document == whole.document)
        #expect(single.bytes == whole.bytes)
    }

    @Test("refuses a document that ends early, wherever it ends")
    func truncated() {
        let text = Array(Self.valid.utf8)
        for end in 0..<(text.count - 1) {
            #expect(throws: FilesError.malformedDocument("body: ends within the JSON document")) {
                _ = try decode([Array(text[..<end])])
            }
        }
    }

    @Test(
        "refuses what is not JSON with malformed_json",
        arguments: [
            "", "x", "\u{FEFF}{}", "{", "{}}", "{} x", #"{"a" 1}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,}"#, #"{"a":01}"#,
            #"{"a":1.}"#, #"{"a":-}"#, #"{"a":tru}"#, #"{"a":[1,]}"#, #"{"a":[1}"#, #"{"a":{"b"}}"#, #"{"a":{"b":1,}}"#,
            #"{'a':1}"#, #"{"a":"\x"}"#, #"{"a":"\u12G4"}"#, #"{"a":"\ud800"}"#, #"{"a":"\ud800\u0041"}"#,
            #"{"a":"\udc00"}"#, "{\"a\":\"\n\"}", "{\"file_data\":\"QUJD\n\"}", #"{"a":1 "b":2}"#, #"{"file_name":x}"#,
        ]
    )
    func malformed(_ text: String) throws {
        let error = try #require(refusal(text))
        guard case .malformedDocument = error else {
            Issue.record("\(text): \(error)")
            return
        }
        #expect(error.problem.status == 400)
        #expect(error.problem.code == .malformedJSON)
    }

    @Test(
        "names the member that breaks a rule",
        arguments: [
            (#"[]"#, "body"), (#""text""#, "body"), (#"{}"#, "file_name"),
            (#"{"file_name":"a","file_type":""}"#, "file_data"),
            (#"{"file_name":"a","file_data":"QUJD"}"#, "file_type"),
            (#"{"file_name":1,"file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":null,"file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"a","file_type":{},"file_data":"QUJD"}"#, "file_type"),
            (#"{"file_name":"a","file_type":"","file_data":[]}"#, "file_data"),
            (#"{"file_name":"a","file_type":"","file_data":""}"#, "file_data"),
            (#"{"file_name":"a","file_type":"","file_data":"data:image/png;base64,"}"#, "file_data"),
            (#"{"file_name":"","file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"a/b","file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"a\\b","file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"a\u0000","file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"..","file_type":"","file_data":"QUJD"}"#, "file_name"),
            (#"{"file_name":"a","file_type":"a\tb","file_data":"QUJD"}"#, "file_type"),
            (#"{"file_name":"a","file_name":"b"}"#, "file_name"),
            (#"{"file_data":"QUJD","file_data":"QUJD"}"#, "file_data"),
        ]
    )
    func invalidField(_ text: String, _ name: String) throws {
        let error = try #require(refusal(text))
        #expect(error.problem.status == 422)
        #expect(error.problem.code == .invalidField)
        #expect(error.problem.detail.hasPrefix(name + ": "))
    }

    @Test(
        "refuses what is not base64",
        arguments: [
            "Q", "QU", "QUJ", "QU=", "QUJDR", "=", "====", "Q===", "QQ==QUJD", "QUI=QUJD", "QUJD====", "QUJDQQ===",
            "QU-_", "QU JD", "QUJ!", "图片", "data:image/png,QUJD", "data:;base64", "data:image/png;base64",
            "QR==", "QUJ=",
        ]
    )
    func notBase64(_ data: String) throws {
        let error = try #require(refusal(#"{"file_name":"a","file_type":"","file_data":""# + data + #""}"#))
        guard case .invalidBase64 = error else {
            Issue.record("\(data): \(error)")
            return
        }
        #expect(error.problem.status == 422)
        #expect(error.problem.code == .invalidBase64)
    }

    @Test(
        "accepts plain base64 and a data URL",
        arguments: [
            ("QQ==", "A"), ("QUI=", "AB"), ("QUJD", "ABC"), ("data:image/png;base64,QUI=", "AB"),
            (#"data:image\/png;charset=x;BASE64,QUI="#, "AB"), ("DATA:;base64,QUJD", "ABC"), ("data", "u\u{AB}Z"),
        ]
    )
    func forms(_ data: String, _ expected: String) throws {
        let text = Array((#"{"file_name":"a","file_type":"","file_data":""# + data + #""}"#).utf8)
        let bytes = expected == "u\u{AB}Z" ? [0x75, 0xAB, 0x5A] : Array(expected.utf8)
        for split in 0...text.count {
            #expect(try decode([Array(text[..<split]), Array(text[split...])]).bytes == bytes)
        }
    }

    @Test("takes a file of exactly the limit and refuses one byte more, before the document ends")
    func fileLimit() throws {
        let head = #"{"file_name":"a","file_type":"","file_data":""#
        #expect(try decode(head + "QUJDRA==" + #""}"#, fileBytesMax: 4).bytes.count == 4)
        #expect(refusal(head + "QUJDREU=", fileBytesMax: 4) == .tooLarge(name: "file_data", bytesMax: 4))
        #expect(FilesError.tooLarge(name: "file_data", bytesMax: 4).problem.status == 413)
    }

    @Test("limits the name to 255 characters, counted as Unicode scalars")
    func nameLimit() throws {
        let tail = #"","file_type":"","file_data":"QUJD"}"#
        let name = String(repeating: "😀", count: 255)
        #expect(try decode(#"{"file_name":""# + name + tail).document.fileName == name)
        #expect(
            refusal(#"{"file_name":""# + name + "a" + tail)
                == .invalidField(name: "file_name", rule: "1 to 255 characters")
        )
    }

    @Test("limits unknown members in size and depth")
    func unknownLimits() throws {
        let tail = #","file_name":"a","file_type":"","file_data":"QUJD"}"#
        let deep = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        #expect(try decode(#"{"x":"# + deep + tail).bytes.count == 3)
        #expect(refusal(#"{"x":["# + deep + "]" + tail)?.problem.status == 400)
        let long = String(repeating: "a", count: 65_000)
        #expect(try decode(#"{"x":""# + long + "\"" + tail).bytes.count == 3)
        #expect(refusal(#"{"x":""# + long + #"","y":""# + long + "\"" + tail)?.problem.status == 413)
        #expect(refusal(#"{""# + String(repeating: "k", count: 257) + #"":1}"#)?.problem.status == 413)
        #expect(refusal(String(repeating: " ", count: 262_145))?.problem.status == 413)
    }

    @Test("keeps the memory of one piece, whatever the file's size")
    func bounded() throws {
        var decoder = UploadDocumentDecoder(fileBytesMax: 8 << 20)
        var output: [UInt8] = []
        try decoder.feed(Array(#"{"file_name":"a","file_type":"","file_data":""#.utf8), into: &output)
        let piece = [UInt8](repeating: UInt8(ascii: "A"), count: 16_384)
        var total = 0
        for _ in 0..<64 {
            try decoder.feed(piece, into: &output)
            #expect(output.count <= piece.count)
            total += output.count
            output.removeAll(keepingCapacity: true)
        }
        try decoder.feed(Array("\"}".utf8), into: &output)
        _ = try decoder.finish()
        #expect(total == 64 * 12_288)
    }

    @Test("decodes random files as they were encoded, in random pieces")
    func random() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let count = Int.random(in: 1...300, using: &generator)
            let file = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let encoded = base64(file).map { $0 == "/" && Bool.random(using: &generator) ? "\\/" : String($0) }.joined()
            let text = Array((#"{"file_data":""# + encoded + #"","file_type":"x","file_name":"n"}"#).utf8)
            var pieces: [[UInt8]] = []
            var rest = text[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...40, using: &generator)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let result = try decode(pieces)
            #expect(result.bytes == file, "seed \(seed)")
        }
    }
}

/// Base64 written independently of the decoder under test.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var result = ""
    var index = 0
    while index < bytes.count {
        let group = Array(bytes[index..<min(index + 3, bytes.count)])
        let padded = group + [UInt8](repeating: 0, count: 3 - group.count)
        let value = Int(padded[0]) << 16 | Int(padded[1]) << 8 | Int(padded[2])
        for position in 0..<4 {
            result.append(position <= group.count ? alphabet[value >> (18 - 6 * position) & 63] : "=")
        }
        index += 3
    }
    return result
}

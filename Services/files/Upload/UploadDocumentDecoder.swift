import Core

/// Reads `{"file_name","file_type","file_data"}` as it streams in; members in any order, in any split.
///
/// The decoded bytes of `file_data` come out as they arrive, so a document of any size needs the memory of one
/// piece. `JSONDecoder` would hold the text, its string and the bytes: three times the file.
struct UploadDocumentDecoder: UploadDecoder {
    /// The longest member name, in bytes.
    static let keyBytesMax = 256
    /// The most that a document has beside `file_data`, in bytes: white space, names, unknown members.
    static let envelopeBytesMax = 262_144

    private enum Member: String, WireWord {
        case fileName = "file_name"
        case fileType = "file_type"
        case fileData = "file_data"
    }

    private enum State {
        case start
        case keyOrEnd, key
        case inKey(JSONStringScanner)
        case colon(Member?)
        case value(Member?)
        case inText(Member, JSONStringScanner)
        case inData(JSONStringScanner)
        case skipping
        case commaOrEnd
        case end
    }

    private let fileBytesMax: Int
    private var state = State.start
    private var text: [UInt8] = []
    private var seen: Set<Member> = []
    private var fileName = ""
    private var declaredType = ""
    private var data = FileDataDecoder()
    private var skipper = JSONValueSkipper()
    private var envelopeBytes = 0

    /// - Parameter fileBytesMax: The largest file, in decoded bytes.
    init(fileBytesMax: Int) {
        self.fileBytesMax = fileBytesMax
    }

    /// The longest document worth reading, in bytes: every character of the base64 text may be an escaped `\/`.
    static func documentBytesMax(fileBytesMax: Int) -> Int {
        (fileBytesMax + 2) / 3 * 4 * 2 + envelopeBytesMax
    }

    /// Throws `FilesError.malformedDocument`, `.invalidField`, `.invalidBase64` or `.tooLarge`.
    mutating func feed(_ bytes: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        var index = 0
        while index < bytes.count {
            if case .inData(var scanner) = state {
                let ended = try scanner.scan(bytes, from: &index, into: &text)
                try data.feed(text, into: &output)
                text.removeAll(keepingCapacity: true)
                if ended { try data.finish(into: &output) }
                guard data.decodedCount <= fileBytesMax else {
                    throw .tooLarge(name: "file_data", bytesMax: fileBytesMax)
                }
                state = ended ? .commaOrEnd : .inData(scanner)
                continue
            }
            let start = index
            try scanEnvelope(bytes, from: &index)
            envelopeBytes += index - start
            guard envelopeBytes <= Self.envelopeBytesMax else {
                throw .tooLarge(name: "body without file_data", bytesMax: Self.envelopeBytesMax)
            }
        }
    }

    /// Throws `FilesError.malformedDocument` if the document is not complete, `.invalidField` for a missing member.
    mutating func finish() throws(FilesError) -> UploadDocument {
        guard case .end = state else { throw .malformedDocument("body: ends within the JSON document") }
        for member in Member.allCases where !seen.contains(member) {
            throw .invalidField(name: member.rawValue, rule: "is required")
        }
        guard data.decodedCount > 0 else { throw .invalidField(name: "file_data", rule: "must not be empty") }
        return UploadDocument(fileName: fileName, declaredType: declaredType)
    }

    // MARK: - Everything but file_data

    private mutating func scanEnvelope(_ bytes: [UInt8], from index: inout Int) throws(FilesError) {
        switch state {
        case .inKey(var scanner):
            let ended = try scanner.scan(bytes, from: &index, into: &text)
            guard text.count <= Self.keyBytesMax else {
                throw .tooLarge(name: "a member's name", bytesMax: Self.keyBytesMax)
            }
            state = .inKey(scanner)
            if ended { try endKey() }
        case .inText(let member, var scanner):
            let ended = try scanner.scan(bytes, from: &index, into: &text)
            try checkLength(of: member)
            state = .inText(member, scanner)
            if ended { try endText(member) }
        case .skipping:
            if try skipper.scan(bytes, from: &index) { state = .commaOrEnd }
        case .value(nil) where !JSONValueSkipper.isWhitespace(bytes[index]):
            skipper.begin()
            state = .skipping
        default:
            let byte = bytes[index]
            index += 1
            if !JSONValueSkipper.isWhitespace(byte) { try step(byte) }
        }
    }

    private mutating func step(_ byte: UInt8) throws(FilesError) {
        switch (state, byte) {
        case (.start, UInt8(ascii: "{")): state = .keyOrEnd
        case (.start, _):
            guard JSONValueSkipper.beginsValue(byte) else { throw .malformedDocument("body: not JSON") }
            throw .invalidField(name: "body", rule: "must be a JSON object")
        case (.keyOrEnd, UInt8(ascii: "}")): state = .end
        case (.keyOrEnd, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")): state = .inKey(JSONStringScanner())
        case (.keyOrEnd, _), (.key, _): throw .malformedDocument("body: a member's name was expected")
        case (.colon(let member), UInt8(ascii: ":")): state = .value(member)
        case (.colon, _): throw .malformedDocument("body: ':' was expected")
        case (.value(let member?), _): try beginValue(of: member, with: byte)
        case (.commaOrEnd, UInt8(ascii: ",")): state = .key
        case (.commaOrEnd, UInt8(ascii: "}")): state = .end
        case (.commaOrEnd, _): throw .malformedDocument("body: ',' or '}' was expected")
        default: throw .malformedDocument("body: something follows the JSON document")
        }
    }

    private mutating func beginValue(of member: Member, with byte: UInt8) throws(FilesError) {
        guard byte == UInt8(ascii: "\"") else {
            guard JSONValueSkipper.beginsValue(byte) else { throw .malformedDocument("body: not a JSON value") }
            throw .invalidField(name: member.rawValue, rule: "must be a string")
        }
        state = member == .fileData ? .inData(JSONStringScanner()) : .inText(member, JSONStringScanner())
    }

    private mutating func endKey() throws(FilesError) {
        guard let key = String(validating: text, as: UTF8.self) else { throw Self.notUTF8 }
        text.removeAll(keepingCapacity: true)
        let member = Member(word: key)
        if let member, !seen.insert(member).inserted {
            throw .invalidField(name: key, rule: "is given twice")
        }
        state = .colon(member)
    }

    private func checkLength(of member: Member) throws(FilesError) {
        switch member {
        case .fileName where text.count > FileName.bytesMax:
            throw .invalidField(name: member.rawValue, rule: FileName.lengthRule)
        case .fileType where text.count > UploadDocument.declaredTypeBytesMax:
            throw .invalidField(name: member.rawValue, rule: UploadDocument.declaredTypeLengthRule)
        default: break
        }
    }

    private mutating func endText(_ member: Member) throws(FilesError) {
        guard let value = String(validating: text, as: UTF8.self) else { throw Self.notUTF8 }
        text.removeAll(keepingCapacity: true)
        if member == .fileName {
            fileName = try UploadDocument.checkedFileName(value, member.rawValue)
        } else {
            declaredType = try UploadDocument.checkedDeclaredType(value, member.rawValue)
        }
        state = .commaOrEnd
    }

    private static let notUTF8 = FilesError.malformedDocument("body: a string is not UTF-8")
}

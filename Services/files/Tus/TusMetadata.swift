import Core
import Crypto

/// `Upload-Metadata`: `key base64,key base64`, where an empty value may leave out its space.
///
/// Read strictly: keys are visible ASCII and come once, values are padded base 64. Only `filename` and `filetype`
/// mean something here; the rest goes back to its client as it came, and nowhere else.
struct TusMetadata: Sendable, Equatable {
    /// The longest value, in bytes.
    static let bytesMax = 4096
    /// The name of a file whose client gives none; few clients do unless they are told to.
    static let fileNameDefault = "file"

    /// The field's value as it came; empty without one.
    let text: String
    let document: UploadDocument

    /// - Parameter text: The field's value; `nil` and empty are the same, since some clients send it empty.
    /// - Throws: 400 that names the rule.
    init(_ text: String?) throws(Problem) {
        self.text = text ?? ""
        guard self.text.utf8.count <= Self.bytesMax else { throw Self.problem("at most \(Self.bytesMax) bytes") }
        var values: [String: [UInt8]] = [:]
        if !self.text.isEmpty {
            for pair in self.text.split(separator: ",", omittingEmptySubsequences: false) {
                let (key, value) = try Self.parse(pair)
                guard values.updateValue(value, forKey: key) == nil else {
                    throw Self.problem("'\(key)' is given twice")
                }
            }
        }
        document = UploadDocument(
            fileName: try Self.fileName(values["filename"]),
            declaredType: try Self.declaredType(values["filetype"])
        )
    }

    private static func parse(_ pair: Substring) throws(Problem) -> (key: String, value: [UInt8]) {
        let trimmed = pair.drop { $0 == " " }
        let key = trimmed.prefix { $0 != " " }
        guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw problem("a key must be visible ASCII")
        }
        var text = trimmed.dropFirst(key.count).drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        do {
            return (String(key), try Base64.decode(text))
        } catch {
            throw problem("'\(key)': \(error)")
        }
    }

    private static func fileName(_ value: [UInt8]?) throws(Problem) -> String {
        guard let value else { return fileNameDefault }
        guard let name = String(validating: value, as: UTF8.self) else { throw problem("filename: must be UTF-8") }
        if let rule = FileName.brokenRule(name) { throw problem("filename: \(rule)") }
        return name
    }

    private static func declaredType(_ value: [UInt8]?) throws(Problem) -> String {
        guard let value else { return "" }
        guard value.count <= UploadDocument.declaredTypeBytesMax else {
            throw problem("filetype: \(UploadDocument.declaredTypeLengthRule)")
        }
        guard let type = String(validating: value, as: UTF8.self),
            !type.unicodeScalars.contains(where: FileName.isControl)
        else { throw problem("filetype: must be UTF-8 without control characters") }
        return type
    }

    private static func problem(_ rule: String) -> Problem { .badRequest("Upload-Metadata: \(rule)") }
}

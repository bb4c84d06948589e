import Core
import HTTP

/// Reads a `multipart/form-data` upload as it streams in (RFC 7578): one part `file`, and, before or behind it, the
/// fields `file_name` and `file_type`, which win over what the part says of itself.
///
/// - `filename*` is not looked at: RFC 7578 §4.2 forbids it.
/// - `%22` in a `filename` is a quote, as every browser and `curl` write it (§2, WHATWG); nothing else is decoded.
/// - Other fields are skipped. A second file is refused under whatever name: it would be lost.
struct UploadFormDecoder: UploadDecoder {
    /// The most that all parts but `file` hold, in bytes.
    static let fieldBytesMax = 65_536

    private enum Field: String, WireWord {
        case fileName = "file_name"
        case fileType = "file_type"
    }

    private enum Part {
        case file
        case field(Field)
        case other
    }

    private static let file = "file"

    private let fileBytesMax: Int
    private var parser: MultipartParser
    private var part = Part.other
    private var text: [UInt8] = []
    private var fields: [Field: String] = [:]
    /// What the part `file` says of itself; `nil` until it has come.
    private var partHead: (fileName: String?, declaredType: String?)?
    private var fileBytes = 0
    private var fieldBytes = 0

    /// - Parameters:
    ///   - contentType: The request's `Content-Type`.
    ///   - fileBytesMax: The largest file, in bytes.
    /// - Throws: `FilesError.malformedForm` without a boundary.
    init(contentType: String, fileBytesMax: Int) throws(FilesError) {
        self.fileBytesMax = fileBytesMax
        guard let boundary = FieldParameters(contentType)?["boundary"] else { throw .malformedForm(.invalidBoundary) }
        do throws(MultipartError) {
            parser = try MultipartParser(boundary: boundary)
        } catch {
            throw .malformedForm(error)
        }
    }

    /// The longest body worth reading, in bytes.
    static func bodyBytesMax(fileBytesMax: Int) -> Int {
        MultipartParser.Limits().bodyBytesMax(contentBytesMax: fileBytesMax + fieldBytesMax)
    }

    /// Throws `FilesError.malformedForm`, `.invalidPart`, `.invalidField` or `.tooLarge`.
    mutating func feed(_ bytes: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        parser.feed(bytes)
        while let event = try nextEvent() {
            switch event {
            case .part(let headers): part = try begin(headers)
            case .body(let bytes): try take(bytes, into: &output)
            case .partEnd: try endPart()
            }
        }
    }

    /// Throws `FilesError.malformedForm` if the form is not complete, `.invalidField` for a missing part.
    mutating func finish() throws(FilesError) -> UploadDocument {
        do throws(MultipartError) { try parser.finish() } catch { throw .malformedForm(error) }
        guard let partHead else { throw .invalidField(name: Self.file, rule: "is required, as a part of that name") }
        guard let fileName = fields[.fileName] ?? partHead.fileName else {
            throw .invalidField(
                name: Field.fileName.rawValue,
                rule: "is required, as a field or as the filename (not filename*) of the part file"
            )
        }
        guard fileBytes > 0 else { throw .invalidField(name: Self.file, rule: "must not be empty") }
        return UploadDocument(
            fileName: try UploadDocument.checkedFileName(fileName, Field.fileName.rawValue),
            declaredType: try UploadDocument.checkedDeclaredType(
                fields[.fileType] ?? partHead.declaredType ?? "",
                Field.fileType.rawValue
            )
        )
    }

    // MARK: -

    private mutating func nextEvent() throws(FilesError) -> MultipartParser.Event? {
        do throws(MultipartError) { return try parser.next() } catch { throw .malformedForm(error) }
    }

    private mutating func begin(_ headers: Headers) throws(FilesError) -> Part {
        let dispositions = headers.values("Content-Disposition")
        guard dispositions.count == 1, let disposition = FieldParameters(dispositions[0]),
            disposition.value == "form-data", let name = disposition["name"]
        else { throw .invalidPart("Content-Disposition: must be form-data with a name, once") }
        // Deprecated by §4.7. What it would decode is not what the sender means to store.
        let encoding = headers["Content-Transfer-Encoding"] ?? "binary"
        guard encoding.isASCII, ["binary", "8bit", "7bit"].contains(encoding.lowercased()) else {
            throw .invalidPart("Content-Transfer-Encoding: only binary")
        }
        if name.hasBytes(of: Self.file) {
            guard partHead == nil else { throw .invalidField(name: Self.file, rule: "is given twice") }
            let fileName = disposition["filename"]?.split(separator: "%22", omittingEmptySubsequences: false)
                .joined(separator: "\"")
            // What was not UTF-8 has become this character.
            guard fileName?.unicodeScalars.contains("\u{FFFD}") != true else {
                throw .invalidField(name: Field.fileName.rawValue, rule: "must be UTF-8")
            }
            partHead = (fileName, headers["Content-Type"])
            return .file
        }
        guard disposition["filename"] == nil else {
            throw .invalidField(name: Self.file, rule: "must be the only file, in a part of that name")
        }
        guard let field = Field(word: name) else { return .other }
        guard fields[field] == nil else { throw .invalidField(name: name, rule: "is given twice") }
        return .field(field)
    }

    private mutating func take(_ bytes: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        guard case .file = part else {
            fieldBytes += bytes.count
            guard fieldBytes <= Self.fieldBytesMax else {
                throw .tooLarge(name: "body without file", bytesMax: Self.fieldBytesMax)
            }
            if case .field = part { text += bytes }
            return
        }
        fileBytes += bytes.count
        guard fileBytes <= fileBytesMax else { throw .tooLarge(name: Self.file, bytesMax: fileBytesMax) }
        if output.isEmpty { output = bytes } else { output += bytes }
    }

    private mutating func endPart() throws(FilesError) {
        guard case .field(let field) = part else { return }
        guard let value = String(validating: text, as: UTF8.self) else {
            throw .invalidField(name: field.rawValue, rule: "must be UTF-8")
        }
        text.removeAll()
        fields[field] = value
    }
}

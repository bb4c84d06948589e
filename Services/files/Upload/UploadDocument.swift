/// What an upload says beside the bytes.
struct UploadDocument: Sendable, Equatable {
    /// The longest `file_type`, in bytes.
    static let declaredTypeBytesMax = 255
    static let declaredTypeLengthRule = "at most \(declaredTypeBytesMax) bytes"

    /// 1 to 255 Unicode scalars, no control character, `/` or `\`.
    var fileName: String
    /// The sender's word for the content type; a hint, possibly empty.
    var declaredType: String

    /// `text`, if it keeps the rules of a file's name.
    ///
    /// - Throws: `FilesError.invalidField` that calls it `name`.
    static func checkedFileName(_ text: String, _ name: String) throws(FilesError) -> String {
        if let rule = FileName.brokenRule(text) { throw .invalidField(name: name, rule: rule) }
        return text
    }

    /// `text`, if it can be a declared type, whether there is such a type or not.
    ///
    /// - Throws: `FilesError.invalidField` that calls it `name`.
    static func checkedDeclaredType(_ text: String, _ name: String) throws(FilesError) -> String {
        guard text.utf8.count <= declaredTypeBytesMax else {
            throw .invalidField(name: name, rule: declaredTypeLengthRule)
        }
        guard !text.unicodeScalars.contains(where: FileName.isControl) else {
            throw .invalidField(name: name, rule: "must not have control characters")
        }
        return text
    }
}

/// Takes the one file of an upload out of a request's body as it arrives.
protocol UploadDecoder {
    /// Reads `bytes`, appending what they hold of the file to `output`.
    ///
    /// - Parameters:
    ///   - bytes: Any number of the body's bytes, zero included.
    ///   - output: Gets the file's next bytes, hardly more than `bytes` has.
    /// - Throws: What is wrong with the body; the decoder is of no use afterwards.
    mutating func feed(_ bytes: [UInt8], into output: inout [UInt8]) throws(FilesError)

    /// Ends the body.
    ///
    /// - Returns: What it says beside the bytes.
    /// - Throws: What is wrong, or missing.
    mutating func finish() throws(FilesError) -> UploadDocument
}

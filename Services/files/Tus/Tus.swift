import Core
import HTTP

/// The tus resumable upload protocol 1.0.0 (https://tus.io/protocols/resumable-upload), as far as this service has it.
enum Tus {
    /// The one version of the protocol.
    static let version = "1.0.0"
    /// `Tus-Extension`.
    static let extensions = "creation,creation-with-upload,checksum,expiration,termination"
    /// `Content-Type` of a request that carries a part of an upload.
    static let mediaType = "application/offset+octet-stream"

    /// The value of a field that may come once.
    ///
    /// - Returns: `nil` without it.
    /// - Throws: 400 if it comes twice.
    static func single(_ name: String, _ headers: Headers) throws(Problem) -> String? {
        let values = headers.values(name)
        guard values.count <= 1 else { throw .badRequest("\(name): is given twice") }
        return values.first
    }

    /// The value of a field that counts bytes.
    ///
    /// - Returns: `nil` without it.
    /// - Throws: 400 if it is no whole number from 0 to 2⁶³ − 1.
    static func bytes(_ name: String, _ headers: Headers) throws(Problem) -> Int? {
        guard let text = try single(name, headers) else { return nil }
        let isNumber = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, let value = Int(text) else { throw .badRequest("\(name): must be a whole number of bytes") }
        return value
    }
}

import Foundation

/// Passwords that are guessed first: the shipped list, and what a file adds to it.
struct CommonPasswords: Sendable {
    private let added: Set<String>

    /// The longest list that is read.
    static let linesMax = 1_000_000
    /// The largest file, in bytes.
    static let fileBytesMax = 33_554_432

    /// Why a file cannot be used.
    struct FileError: Error, Equatable, CustomStringConvertible {
        /// What it must be.
        let description: String
    }

    /// The shipped list alone.
    init() { added = [] }

    /// The shipped list and the file's lines.
    ///
    /// Lines that are empty, longer than a password can be, or no UTF-8 match none and are passed over.
    ///
    /// - Throws: `FileError` when the file cannot be read, is over a limit, or has no line to use.
    init(file path: String) throws(FileError) {
        let bytes = try Self.read(path)
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count - (bytes.last == UInt8(ascii: "\n") ? 1 : 0) <= Self.linesMax else {
            throw FileError(description: "must have at most \(Self.linesMax) lines")
        }
        var added: Set<String> = []
        for line in lines {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard !line.isEmpty, line.count <= Self.lineBytesMax, !line.contains(0),
                let text = String(validating: line, as: UTF8.self)
            else { continue }
            added.insert(PasswordRules.normalized(text).lowercased())
        }
        guard !added.isEmpty else { throw FileError(description: "must have a password a line, in UTF-8") }
        self.added = added
    }

    /// Whether the list has it.
    ///
    /// - Parameter password: In NFC and lower case.
    func contains(_ password: String) -> Bool { Self.shipped.contains(password) || added.contains(password) }

    /// A longer line is no password.
    private static let lineBytesMax = 1024

    private static func read(_ path: String) throws(FileError) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: fileBytesMax + 1)
        else { throw FileError(description: "must be a file that can be read and is not empty") }
        guard data.count <= fileBytesMax else {
            throw FileError(description: "must have at most \(fileBytesMax) bytes")
        }
        return Array(data)
    }
}

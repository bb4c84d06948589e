import Foundation

/// Passwords that are guessed first: the shipped list, and what a file adds to it.
struct CommonPasswords: Sendable {
    private let added: Set<String>

    /// How much of a file is taken.
    struct FileLimits: Sendable {
        var linesMax = 1_000_000
        var bytesMax = 33_554_432
    }

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
    init(file path: String, limits: FileLimits = FileLimits()) throws(FileError) {
        let bytes = try Self.read(path, bytesMax: limits.bytesMax)
        var added: Set<String> = []
        var count = 0
        var rest = bytes[...]
        while !rest.isEmpty {
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest[line.endIndex...].dropFirst()
            count += 1
            guard count <= limits.linesMax else {
                throw FileError(description: "must have at most \(limits.linesMax) lines")
            }
            if let password = Self.password(line) { added.insert(password) }
        }
        guard !added.isEmpty else { throw FileError(description: "must have a password a line, in UTF-8") }
        self.added = added
    }

    private static func password(_ line: ArraySlice<UInt8>) -> String? {
        let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        guard !line.isEmpty, line.count <= lineBytesMax, !line.contains(0),
            let text = String(validating: line, as: UTF8.self)
        else { return nil }
        return PasswordRules.normalized(text).lowercased()
    }

    /// Whether the list has it.
    ///
    /// - Parameter password: In NFC and lower case.
    func contains(_ password: String) -> Bool { Self.shipped.contains(password) || added.contains(password) }

    /// A longer line is no password.
    private static let lineBytesMax = 1024

    private static func read(_ path: String, bytesMax: Int) throws(FileError) -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: bytesMax + 1)
        else { throw FileError(description: "must be a file that can be read and is not empty") }
        guard data.count <= bytesMax else {
            throw FileError(description: "must have at most \(bytesMax) bytes")
        }
        return Array(data)
    }
}

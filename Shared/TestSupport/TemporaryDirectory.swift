import Foundation
import Glibc

/// A fresh directory for one test, removed with everything in it when the last reference goes.
package final class TemporaryDirectory: Sendable {
    /// Its absolute path, without a slash at the end.
    package let path: String

    /// - Throws: `CreationFailed` when the system's directory for temporary files takes no more.
    package init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/support-chat-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CreationFailed(code: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of `name` in the directory.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// `mkdtemp` failed with this `errno`.
    package struct CreationFailed: Error {
        package let code: Int32
    }
}

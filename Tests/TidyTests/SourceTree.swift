import Foundation

/// The repository's own files, as the tidy tests read them.
enum SourceTree {
    /// The package's root folder: three levels up from this file.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file below `folders`, sorted by path.
    static func swiftFiles(in folders: [String]) throws -> [SourceFile] {
        var files: [SourceFile] = []
        for folder in folders {
            let start = root.appendingPathComponent(folder)
            let paths = FileManager.default.enumerator(at: start, includingPropertiesForKeys: nil)
            while let url = paths?.nextObject() as? URL {
                guard url.pathExtension == "swift" else { continue }
                files.append(try SourceFile(url))
            }
        }
        return files.sorted { $0.path < $1.path }
    }

    /// The names of the folders directly below `folder`.
    static func folders(in folder: String) throws -> [String] {
        let start = root.appendingPathComponent(folder)
        let entries = try FileManager.default.contentsOfDirectory(
            at: start,
            includingPropertiesForKeys: [.isDirectoryKey]
        )
        return try entries.filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }
            .map(\.lastPathComponent).sorted()
    }

    /// The text of the file at `path`, or nil when there is none.
    static func text(_ path: String) -> String? {
        try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
}

/// One Swift file, with its text once as written and once with comments and string contents blanked out.
struct SourceFile: CustomStringConvertible, Sendable {
    /// The path below the package's root.
    let path: String
    let lines: [Substring]
    /// The same lines, where comments and the contents of string literals are spaces: what is left is code.
    let code: [Substring]

    var description: String { path }
    /// The first two parts of the path, such as `Shared/Net`.
    var folder: String { path.split(separator: "/").prefix(2).joined(separator: "/") }

    init(_ url: URL) throws {
        let text = try String(contentsOf: url, encoding: .utf8)
        self.init(path: String(url.path.dropFirst(SourceTree.root.path.count + 1)), text: text)
    }

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        code = CodeText.blanked(text).split(separator: "\n", omittingEmptySubsequences: false)
    }
}

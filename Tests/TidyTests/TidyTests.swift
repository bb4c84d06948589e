import Foundation
import Testing

/// Rules of this project that the compiler and the formatter do not check.
@Suite("Tidy sources")
struct TidyTests {
    private static let columnsMax = 120
    private static let functionLinesMax = 70
    private static let fileLinesMax = 500
    private static let readmeLinesMax = 60

    private static let everything = Result { try SourceTree.swiftFiles(in: ["Shared", "Services", "Tests"]) }
    private let files: [SourceFile]

    init() throws {
        files = try Self.everything.get()
        try #require(files.count > 50, "the sources were not found below \(SourceTree.root.path)")
    }

    private var product: [SourceFile] { files.filter { !$0.path.hasPrefix("Tests/") } }

    @Test("no line is longer than 120 columns")
    func lineLength() {
        expectNone(places(in: files, lines: \.lines) { $0.count > Self.columnsMax })
    }

    @Test("no file is longer than 500 lines")
    func fileLength() {
        expectNone(files.filter { $0.lines.count > Self.fileLinesMax }.map { "\($0.path): \($0.lines.count) lines" })
    }

    @Test("no function is longer than 70 lines")
    func functionLength() {
        var long: [String] = []
        for file in files {
            for function in CodeText.functions(in: file.code) where function.length > Self.functionLinesMax {
                long.append("\(file.path):\(function.line + 1): \(function.length) lines")
            }
        }
        expectNone(long)
    }

    @Test("nothing crashes on purpose or prints past the log")
    func bannedCalls() {
        expectNone(
            places(in: product, lines: \.code) {
                $0.contains("try!") || $0.contains("as!") || $0.contains("fatalError(") || $0.contains("NSLog(")
                    || ($0.contains("rint(") && $0.contains(/(^|[^.\w])(print|debugPrint)\(/))
            }
        )
    }

    @Test("unchecked concurrency stays in Net, Storage and Transport")
    func uncheckedConcurrency() {
        let allowed = ["Shared/Net", "Shared/Storage", "Shared/Transport"]
        expectNone(
            places(in: product.filter { !allowed.contains($0.folder) }, lines: \.code) {
                $0.contains("@unchecked") || $0.contains("nonisolated(unsafe)")
            }
        )
    }

    @Test("nothing is public: nothing leaves this package")
    func publicDeclarations() {
        expectNone(
            places(in: product, lines: \.code) {
                ($0.contains("public ") || $0.contains("open "))
                    && $0.contains(/\b(public|open) (\w+ )*(import|func|var|let|struct|class|enum|init)/)
            }
        )
    }

    @Test("no reminders are left in the sources")
    func reminders() {
        // Written in two halves, or this line would be one.
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
        expectNone(places(in: files, lines: \.lines) { line in words.contains { line.contains($0) } })
    }

    @Test("tests wait for conditions and never sleep")
    func sleepingTests() {
        expectNone(
            places(in: files.filter { $0.path.hasPrefix("Tests/") }, lines: \.code) {
                $0.contains("sleep(") && $0.contains(/\b(Task\.sleep|Thread\.sleep|usleep|nanosleep|sleep)\(/)
            }
        )
    }

    @Test("every package declaration of a type or function has a doc comment")
    func documentation() {
        var missing: [String] = []
        let requirements = documentedRequirements()
        for file in product {
            for (index, line) in file.code.enumerated() where needsDocumentation(line) {
                let name = line.firstMatch(of: /\bfunc\s+(\w+)/).map { String($0.1) }
                // What a protocol of ours asks for is explained there.
                if let name, requirements.contains(name) { continue }
                if !isDocumented(index, in: file) {
                    missing.append("\(file.path):\(index + 1): \(line.trimmingCharacters(in: .whitespaces))")
                }
            }
        }
        expectNone(missing)
    }

    @Test("every module has a README.md of at most one screen")
    func readmes() throws {
        var wrong: [String] = []
        for parent in ["Shared", "Services"] {
            for folder in try SourceTree.folders(in: parent) {
                // A header and a module map; the module that wraps it says why.
                if SourceTree.text("\(parent)/\(folder)/module.modulemap") != nil { continue }
                guard let text = SourceTree.text("\(parent)/\(folder)/README.md") else {
                    wrong.append("\(parent)/\(folder): none")
                    continue
                }
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
                if !(4...Self.readmeLinesMax).contains(lines) { wrong.append("\(parent)/\(folder): \(lines) lines") }
            }
        }
        expectNone(wrong)
    }

    @Test("placeholders are gone from modules that have sources")
    func placeholders() {
        let names = Dictionary(grouping: files) { URL(fileURLWithPath: $0.path).deletingLastPathComponent().path }
        expectNone(
            names.values.filter { $0.count > 1 }.joined().filter { $0.path.hasSuffix("/Placeholder.swift") }.map(\.path)
        )
    }

    // MARK: - Helpers

    private func expectNone(_ places: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(places.isEmpty, "\(places.joined(separator: "\n"))", sourceLocation: sourceLocation)
    }

    private func places(
        in files: [SourceFile],
        lines: KeyPath<SourceFile, [Substring]>,
        where isWrong: (Substring) -> Bool
    ) -> [String] {
        files.flatMap { file in
            file[keyPath: lines].enumerated().filter { isWrong($0.element) }
                .map { "\(file.path):\($0.offset + 1): \(file.lines[$0.offset].trimmingCharacters(in: .whitespaces))" }
        }
    }

    /// Types and functions.
    ///
    /// Stored properties speak through their type's comment and their names, and what a standard
    /// protocol asks for (`==`, `encode(to:)`, `enqueue` of an executor …) means what the protocol says.
    private func needsDocumentation(_ line: Substring) -> Bool {
        guard line.contains("package "), line.contains(/^\s*package\s/), !line.contains(/^\s*package\s+import\s/) else {
            return false
        }
        if line.contains(/\b(struct|class|enum|actor|protocol|typealias|macro)\s+\w/) {
            return !line.contains(/\bclass\s+(func|var)\b/) || line.contains(/\bclass\s+func\b/)
        }
        return line.contains(/\bfunc\s+\w/)
            && !line.contains(/\bfunc\s+(hash\(into|encode\(to|makeIterator\(|next\(|enqueue\(_ job|checkIsolated\()/)
    }

    /// The names of functions that a documented requirement of a protocol of ours declares.
    private func documentedRequirements() -> Set<String> {
        var names: Set<String> = []
        for file in product {
            for (index, line) in file.code.enumerated() where line.contains("func ") && !line.contains("{") {
                guard let match = line.firstMatch(of: /^\s*(?:mutating\s+)?func\s+(\w+)/) else { continue }
                if isDocumented(index, in: file) { names.insert(String(match.1)) }
            }
        }
        return names
    }

    private func isDocumented(_ index: Int, in file: SourceFile) -> Bool {
        var above = index - 1
        while above >= 0 {
            let line = file.lines[above].drop { $0 == " " }
            if line.hasPrefix("///") { return true }
            guard line.hasPrefix("@") || line.hasPrefix("#if") else { return false }
            above -= 1
        }
        return false
    }
}

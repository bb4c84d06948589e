/// Reads Swift source closely enough to tell code from comments and strings, and where a function ends.
enum CodeText {
    /// `source` with comments and string contents replaced by spaces, line by line as long as before.
    static func blanked(_ source: String) -> String {
        var scanner = Scanner(source)
        return scanner.run()
    }

    /// The functions of blanked lines: the line that each starts on (from 0) and its number of lines.
    static func functions(in code: [Substring]) -> [(line: Int, length: Int)] {
        var found: [(line: Int, length: Int)] = []
        for (index, line) in code.enumerated() where startsFunction(line) {
            if let end = lastLine(ofFunctionAt: index, in: code) {
                found.append((line: index, length: end - index + 1))
            }
        }
        return found
    }

    private static func startsFunction(_ line: Substring) -> Bool {
        guard line.contains("func ") || line.contains("init") || line.contains("subscript") || line.contains("deinit")
        else { return false }
        return line.contains(/(^|\s)(func\s+\S|init[?]?\s*[(<]|deinit\b|subscript\s*[(<])/)
    }

    /// Where the body that belongs to the declaration on line `start` closes; nil when it has none (a protocol's).
    private static func lastLine(ofFunctionAt start: Int, in code: [Substring]) -> Int? {
        var parentheses = 0
        var braces = 0
        for index in start..<code.count {
            if index > start, braces == 0, parentheses == 0, startsFunction(code[index]) { return nil }
            for character in code[index] {
                switch character {
                case "(", "[": parentheses += 1
                case ")", "]": parentheses -= 1
                case "{" where parentheses == 0 || braces > 0: braces += 1
                case "}" where parentheses == 0 || braces > 0:
                    braces -= 1
                    if braces <= 0 { return braces == 0 ? index : nil }
                default: break
                }
            }
        }
        return nil
    }

    private struct Scanner {
        private let input: [UInt8]
        private var position = 0
        private var output: [UInt8] = []

        private static let newline = UInt8(ascii: "\n")
        private static let quote = UInt8(ascii: "\"")
        private static let hash = UInt8(ascii: "#")
        private static let slash = UInt8(ascii: "/")

        init(_ source: String) {
            input = Array(source.utf8)
            output.reserveCapacity(input.count)
        }

        mutating func run() -> String {
            while position < input.count {
                switch input[position] {
                case Self.slash where byte(1) == Self.slash:
                    while position < input.count, input[position] != Self.newline { blankOne() }
                case Self.slash where byte(1) == UInt8(ascii: "*"): blankBlockComment()
                case Self.quote, Self.hash:
                    if let fence = stringFence() { blankString(fence) } else { keep() }
                default: keep()
                }
            }
            return String(decoding: output, as: UTF8.self)
        }

        private func byte(_ offset: Int) -> UInt8? {
            position + offset < input.count ? input[position + offset] : nil
        }

        private func starts(with wanted: [UInt8]) -> Bool {
            guard input[position] == wanted[0] else { return false }
            return input[position...].starts(with: wanted)
        }

        private mutating func keep() {
            output.append(input[position])
            position += 1
        }

        /// Blanks a byte; of a character of several bytes only the first leaves a space.
        private mutating func blankOne() {
            let byte = input[position]
            if byte == Self.newline {
                output.append(byte)
            } else if byte & 0xC0 != 0x80 {
                output.append(UInt8(ascii: " "))
            }
            position += 1
        }

        private mutating func blank(_ count: Int) {
            for _ in 0..<count where position < input.count { blankOne() }
        }

        private mutating func blankBlockComment() {
            while position < input.count, !starts(with: Array("*/".utf8)) { blankOne() }
            blank(2)
        }

        /// The opening delimiter at the position: any number of `#`, then one or three quotes.
        private func stringFence() -> (hashes: Int, quotes: Int)? {
            var hashes = 0
            while byte(hashes) == Self.hash { hashes += 1 }
            guard byte(hashes) == Self.quote else { return nil }
            let isLong = byte(hashes + 1) == Self.quote && byte(hashes + 2) == Self.quote
            return (hashes, isLong ? 3 : 1)
        }

        private mutating func blankString(_ fence: (hashes: Int, quotes: Int)) {
            let hashes = [UInt8](repeating: Self.hash, count: fence.hashes)
            let close = [UInt8](repeating: Self.quote, count: fence.quotes) + hashes
            let escape = [UInt8(ascii: "\\")] + hashes
            blank(close.count)
            var nested = 0
            while position < input.count {
                if nested == 0, starts(with: close) { break }
                // A string of one line ends with its line, closed or not.
                if nested == 0, fence.quotes == 1, input[position] == Self.newline { return }
                if starts(with: escape) {
                    blank(escape.count)
                    // Inside an interpolation quotes belong to its own strings.
                    if byte(0) == UInt8(ascii: "(") { nested += 1 }
                    blank(1)
                } else {
                    if nested > 0, input[position] == UInt8(ascii: "(") { nested += 1 }
                    if nested > 0, input[position] == UInt8(ascii: ")") { nested -= 1 }
                    blankOne()
                }
            }
            blank(close.count)
        }
    }
}

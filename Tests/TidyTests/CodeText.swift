/// Reads Swift source closely enough to tell code from comments and strings, and where a function ends.
enum CodeText {
    /// `source` with comments and string contents replaced by spaces, line by line as long as before.
    static func blanked(_ source: String) -> String {
        var scanner = Scanner(Array(source))
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
        line.contains(/(^|\s)(func\s+\S|init[?]?\s*[(<]|deinit\b|subscript\s*[(<])/)
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
        private let input: [Character]
        private var position = 0
        private var output = ""

        init(_ input: [Character]) { self.input = input }

        mutating func run() -> String {
            while position < input.count {
                if starts(with: "//") {
                    blank { $0.input[$0.position] == "\n" }
                } else if starts(with: "/*") {
                    blankBlockComment()
                } else if let fence = stringFence() {
                    blankString(fence)
                } else {
                    keep()
                }
            }
            return output
        }

        private func starts(with text: String) -> Bool {
            let wanted = Array(text)
            return position + wanted.count <= input.count
                && Array(input[position..<position + wanted.count]) == wanted
        }

        private mutating func keep() {
            output.append(input[position])
            position += 1
        }

        private mutating func blankOne() {
            output.append(input[position] == "\n" ? "\n" : " ")
            position += 1
        }

        private mutating func blank(until stop: (Scanner) -> Bool) {
            while position < input.count, !stop(self) { blankOne() }
        }

        private mutating func blankBlockComment() {
            blank { $0.starts(with: "*/") }
            for _ in 0..<2 where position < input.count { blankOne() }
        }

        /// The opening delimiter at the position: any number of `#`, then one or three quotes.
        private func stringFence() -> (hashes: Int, quotes: Int)? {
            var index = position
            while index < input.count, input[index] == "#" { index += 1 }
            let hashes = index - position
            guard index < input.count, input[index] == "\"" else { return nil }
            let isLong = index + 2 < input.count && input[index + 1] == "\"" && input[index + 2] == "\""
            return (hashes, isLong ? 3 : 1)
        }

        private mutating func blankString(_ fence: (hashes: Int, quotes: Int)) {
            let close = String(repeating: "\"", count: fence.quotes) + String(repeating: "#", count: fence.hashes)
            let escape = "\\" + String(repeating: "#", count: fence.hashes)
            for _ in 0..<(fence.hashes + fence.quotes) { blankOne() }
            var nested = 0
            while position < input.count {
                if nested == 0, starts(with: close) { break }
                // A string of one line ends with its line, closed or not.
                if nested == 0, fence.quotes == 1, input[position] == "\n" { return }
                if starts(with: escape) {
                    for _ in 0..<escape.count { blankOne() }
                    guard position < input.count else { return }
                    // Inside an interpolation quotes belong to its own strings.
                    if input[position] == "(" { nested += 1 }
                    blankOne()
                } else {
                    if nested > 0, input[position] == "(" { nested += 1 }
                    if nested > 0, input[position] == ")" { nested -= 1 }
                    blankOne()
                }
            }
            for _ in 0..<close.count where position < input.count { blankOne() }
        }
    }
}

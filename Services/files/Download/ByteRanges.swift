/// The `Range` header field of a request for bytes (RFC 9110 §14).
enum ByteRanges: Equatable {
    /// No range asked for, or none that can be understood: the whole file.
    case whole
    /// Part of the file: in the order asked for, none empty, none overlapping another.
    case parts([Range<Int>])
    /// Understood, and no byte of it exists: 416.
    case unsatisfiable

    /// The most ranges in one request; a request with more gets the whole file (§14.2 allows a server to ignore
    /// the field, and warns of such requests).
    static let rangesMax = 16

    /// Reads the field.
    ///
    /// - Parameters:
    ///   - field: Its value, `nil` without one.
    ///   - size: The file's size in bytes.
    init(_ field: String?, size: Int) {
        guard let field, let specs = Self.specs(field) else {
            self = .whole
            return
        }
        var parts: [Range<Int>] = []
        for spec in specs {
            guard let part = spec.resolve(size: size), !part.isEmpty else { continue }
            // Ranges that overlap or touch are sent as one (§15.3.7.2 allows it): no byte is sent twice.
            let index = parts.firstIndex { $0.upperBound >= part.lowerBound && part.upperBound >= $0.lowerBound }
            if let index {
                let old = parts[index]
                parts[index] = min(old.lowerBound, part.lowerBound)..<max(old.upperBound, part.upperBound)
            } else {
                parts.append(part)
            }
        }
        self = parts.isEmpty ? .unsatisfiable : .parts(Self.merged(parts))
    }

    // MARK: -

    private enum Spec {
        /// `first-last`, both included; without `last` to the end.
        case from(Int, through: Int?)
        /// `-count`: the last `count` bytes.
        case suffix(Int)

        func resolve(size: Int) -> Range<Int>? {
            switch self {
            case .from(let first, let last):
                guard first < size else { return nil }
                return first..<(min(last ?? size - 1, size - 1) + 1)
            case .suffix(let count):
                return max(0, size - count)..<size
            }
        }
    }

    /// A widened part may have come to touch a third one: merge until nothing changes, keeping the order.
    private static func merged(_ parts: [Range<Int>]) -> [Range<Int>] {
        var result = parts
        var changed = true
        while changed {
            changed = false
            search: for i in result.indices {
                for j in result.indices.dropFirst(i + 1)
                where result[i].upperBound >= result[j].lowerBound && result[j].upperBound >= result[i].lowerBound {
                    let lower = min(result[i].lowerBound, result[j].lowerBound)
                    result[i] = lower..<max(result[i].upperBound, result[j].upperBound)
                    result.remove(at: j)
                    changed = true
                    break search
                }
            }
        }
        return result
    }

    /// `bytes=` and a list of `first-last`, `first-` and `-count`; `nil` if it is anything else.
    private static func specs(_ field: String) -> [Spec]? {
        guard let equals = field.firstIndex(of: "="), field[..<equals].lowercased() == "bytes" else { return nil }
        var specs: [Spec] = []
        for item in field[field.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: false) {
            let item = trim(item)
            if item.isEmpty { continue }
            guard let dash = item.firstIndex(of: "-") else { return nil }
            let first = item[..<dash]
            let last = item[item.index(after: dash)...]
            switch (first.isEmpty, last.isEmpty) {
            case (true, true): return nil
            case (true, false):
                guard let count = number(last) else { return nil }
                specs.append(.suffix(count))
            case (false, true):
                guard let first = number(first) else { return nil }
                specs.append(.from(first, through: nil))
            case (false, false):
                guard let first = number(first), let last = number(last), last >= first else { return nil }
                specs.append(.from(first, through: last))
            }
            guard specs.count <= rangesMax else { return nil }
        }
        return specs.isEmpty ? nil : specs
    }

    /// Decimal digits only; a number beyond `Int` counts as its greatest value, which is past every file.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int(text) ?? Int.max
    }

    private static func trim(_ text: Substring) -> Substring {
        var result = text.drop { $0 == " " || $0 == "\t" }
        while let last = result.last, last == " " || last == "\t" { result.removeLast() }
        return result
    }
}

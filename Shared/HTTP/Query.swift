package import Core

/// A query's `name=value` pairs in order, decoded as forms are (`+` is a space).
package struct Query: Sendable, Equatable {
    /// One pair; a name without `=` has an empty value.
    package struct Item: Sendable, Equatable {
        package var name: String
        package var value: String

        fileprivate func has(_ name: String) -> Bool { self.name.utf8.elementsEqual(name.utf8) }
    }

    package private(set) var items: [Item] = []

    /// The most pairs a query may have; a longer one is refused.
    package static let itemCountMax = 100

    package init() {}

    /// Reads a query still encoded, without its `?`.
    ///
    /// - Throws: `Problem` 400 for bad percent-encoding, bytes that are not UTF-8, or over `itemCountMax` pairs.
    package init(encoded: some StringProtocol) throws(Problem) {
        for pair in encoded.split(separator: "&") {
            let mark = pair.firstIndex(of: "=")
            let name = pair[..<(mark ?? pair.endIndex)]
            let value = mark.map { pair[pair.index(after: $0)...] } ?? ""
            guard items.count < Self.itemCountMax else {
                throw .badRequest("query: at most \(Self.itemCountMax) parameters")
            }
            guard let decodedName = PercentEncoding.decode(name, plusIsSpace: true),
                let decodedValue = PercentEncoding.decode(value, plusIsSpace: true)
            else { throw .badRequest("query: bad percent-encoding") }
            items.append(Item(name: decodedName, value: decodedValue))
        }
    }

    /// The first value of `name`; `nil` without one.
    ///
    /// Compared byte for byte: by Unicode's equivalence it would take the square of a run of combining marks.
    package subscript(_ name: String) -> String? { items.first { $0.has(name) }?.value }

    /// Every value of `name`, in order.
    package func values(_ name: String) -> [String] { items.filter { $0.has(name) }.map(\.value) }

    /// The first value of `name` as a whole number, of digits alone; `nil` without one.
    ///
    /// - Throws: `Problem` 400 that names `range`, which must not be negative, for anything else or outside it.
    package func integer(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = self[name] else { return nil }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let value = Int(text), range.contains(value)
        else {
            throw .badRequest("\(name): must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

extension Request {
    /// The target's path, percent-decoded, for logs and messages; routing works on the encoded segments, since an
    /// encoded `/` does not separate any.
    package var path: String { PercentEncoding.decode(head.rawPath) ?? String(head.rawPath) }

    /// The query's pairs.
    ///
    /// `Router` answers 400 before any handler runs if they cannot be decoded, so a handler behind
    /// it never sees the empty query that stands for a bad one here.
    package var query: Query { (try? Query(encoded: head.rawQuery)) ?? Query() }
}

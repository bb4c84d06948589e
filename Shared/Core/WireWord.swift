/// Comparing what clients send, which may be long and need not be ASCII.
///
/// `String`'s own `==`, hashes, `switch` and the `Character`s of a split go by Unicode's equivalence, for which a run
/// of combining marks is sorted: that takes the square of its length, and kilobytes of them stop an event loop.
extension StringProtocol {
    /// Whether all of it is ASCII; then no comparison takes longer than its length.
    package var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    /// Whether both have the same UTF-8.
    package func hasBytes(of other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// An enumeration of ASCII words that travel in JSON, frames and queries.
///
/// Its words are read by `init(word:)`, and so in JSON: `init(rawValue:)` compares by Unicode's equivalence.
package protocol WireWord: RawRepresentable, Codable, CaseIterable where RawValue == String {}

extension WireWord {
    /// The case of this very spelling.
    package init?(word: some StringProtocol) {
        guard let found = Self.allCases.first(where: { word.hasBytes(of: $0.rawValue) }) else { return nil }
        self = found
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Self(word: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a word of \(Self.self)")
        }
        self = value
    }
}

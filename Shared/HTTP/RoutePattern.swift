package import Core

/// A route's path such as `/api/users/{id}`: literal segments, and `{name}` for exactly one segment of any text.
package struct RoutePattern: Sendable, Equatable, CustomStringConvertible {
    /// One part between slashes.
    package enum Segment: Sendable, Equatable {
        case literal(String)
        case parameter(String)
    }

    package let description: String
    package let segments: [Segment]

    /// - Parameter text: Starts with `/`, has no empty segment; `/` alone is the root. Anything else is a
    ///   programmer's mistake and traps.
    package init(_ text: String) {
        precondition(text.utf8.first == UInt8(ascii: "/"), "route pattern \(text) does not start with /")
        description = text
        segments =
            text == "/"
            ? []
            : text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
                precondition(!part.isEmpty, "route pattern \(text) has an empty segment")
                precondition(part.utf8.allSatisfy { $0 < 0x80 }, "route pattern \(text) is not ASCII")
                guard part.first == "{", part.last == "}" else { return .literal(String(part)) }
                return .parameter(String(part.dropFirst().dropLast()))
            }
    }

    /// The names of its parameters, in order.
    package var parameterNames: [String] {
        segments.compactMap { if case .parameter(let name) = $0 { name } else { nil } }
    }

    /// A request path's segments, each percent-decoded by itself, so that an encoded `/` stays inside its segment.
    ///
    /// Nothing is normalised: what other software might read as another path is refused.
    ///
    /// - Parameter rawPath: The path as sent, starting with `/`.
    /// - Returns: The segments; none for `/`. A doubled or trailing `/` gives an empty one, which matches no pattern.
    /// - Throws: `Problem` 400 for bad encoding, a control character, or a `.` or `..` segment, encoded or not.
    package static func segments(ofPath rawPath: some StringProtocol) throws(Problem) -> [String] {
        guard rawPath.utf8.first == UInt8(ascii: "/") else { throw .badRequest("request target: not a path") }
        if rawPath.utf8.count == 1 { return [] }
        var result: [String] = []
        for part in rawPath.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let segment = PercentEncoding.decode(part) else {
                throw .badRequest("request target: bad percent-encoding")
            }
            guard segment != ".", segment != "..", !segment.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
                throw .badRequest("request target: dot segment or control character")
            }
            result.append(segment)
        }
        return result
    }
}

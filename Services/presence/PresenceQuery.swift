import Core
import HTTP

/// The query values of presence's routes; a bad one is 400 and named.
struct PresenceQuery {
    private let query: Query

    init(_ request: Request) { query = request.query }

    /// `user_type`, with its synonyms.
    func userType() throws(Problem) -> UserType? {
        guard let text = query["user_type"] else { return nil }
        guard let type = UserType(wire: text) else { throw .badRequest("user_type: Kehu or Kefu") }
        return type
    }

    /// `cursor`, the last user id of the page before.
    func cursor() throws(Problem) -> String? {
        guard let text = query["cursor"] else { return nil }
        guard Identifier.isUserID(text) else { throw .badRequest("cursor: the next_cursor of the page before") }
        return text
    }

    /// A whole number in `range`.
    func integer(_ name: String, in range: ClosedRange<Int>, default defaultValue: Int) throws(Problem) -> Int {
        guard let text = query[name] else { return defaultValue }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let value = Int(text), range.contains(value)
        else { throw .badRequest("\(name): a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return value
    }

    /// Text of at most `bytesMax` bytes; empty without it.
    func text(_ name: String, bytesMax: Int) throws(Problem) -> String {
        let text = query[name] ?? ""
        guard text.utf8.count <= bytesMax else { throw .badRequest("\(name): at most \(bytesMax) bytes") }
        return text
    }
}

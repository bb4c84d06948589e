import Core
import HTTP

/// The query values of presence's routes; a bad one is 400 and named.
extension Query {
    /// `user_type`, with its synonyms.
    func userType() throws(Problem) -> UserType? {
        guard let text = self["user_type"] else { return nil }
        guard let type = UserType(wire: text) else { throw .badRequest("user_type: Kehu or Kefu") }
        return type
    }

    /// `cursor`, the last user id of the page before.
    func cursor() throws(Problem) -> String? {
        guard let text = self["cursor"] else { return nil }
        guard Identifier.isUserID(text) else { throw .badRequest("cursor: the next_cursor of the page before") }
        return text
    }

    /// Text of at most `bytesMax` bytes; empty without it.
    func text(_ name: String, bytesMax: Int) throws(Problem) -> String {
        let text = self[name] ?? ""
        guard text.utf8.count <= bytesMax else { throw .badRequest("\(name): at most \(bytesMax) bytes") }
        return text
    }
}

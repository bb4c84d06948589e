import Core
import HTTP

/// A strong entity tag (RFC 9110 §8.8.3) and the conditions on it (§13).
///
/// The tag is the content's SHA-256, so it is
/// the same wherever the same bytes are.
struct EntityTag: Equatable {
    /// The field's value, quotes included.
    let text: String

    init(sha256: String) {
        text = "\"" + sha256 + "\""
    }

    /// Whether `If-Match` fails, which is 412; without the field it holds.
    func failsIfMatch(_ headers: Headers) -> Bool {
        let tags = headers.list("If-Match")
        return !tags.isEmpty && !Self.isAny(tags) && !tags.contains { $0.hasBytes(of: text) }
    }

    /// Whether `If-None-Match` names this tag, which is 304.
    ///
    /// The comparison is weak (§13.1.2): `W/` does not matter.
    func isNamedByIfNoneMatch(_ headers: Headers) -> Bool {
        let tags = headers.list("If-None-Match")
        return Self.isAny(tags) || tags.contains { $0.hasBytes(of: text) || $0.hasBytes(of: "W/" + text) }
    }

    /// Whether a `Range` is to be heeded: no `If-Range`, or one with this very tag.
    ///
    /// A date never matches, since no
    /// `Last-Modified` is sent (§13.1.5).
    func allowsRange(_ headers: Headers) -> Bool {
        guard let condition = headers["If-Range"] else { return true }
        return condition.hasBytes(of: text)
    }

    /// Whether it is every tag: a `*` that stands alone; in a list it is a piece of somebody's tag.
    private static func isAny(_ tags: [Substring]) -> Bool { tags.count == 1 && tags[0].hasBytes(of: "*") }
}

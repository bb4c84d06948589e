/// A field value with parameters, as `Content-Type` (RFC 9110 §8.3.1) and a form part's `Content-Disposition`
/// (RFC 7578 §4.2) have it.
///
///     value *( OWS ";" OWS [ name "=" ( token / quoted-string ) ] )
///
/// In a quoted string a backslash escapes a quote or another backslash and nothing else: browsers and old clients put
/// backslashes of file names there as they are.
package struct FieldParameters: Sendable, Equatable {
    /// What stands before the first `;`, in lower case.
    package let value: String
    private var parameters: [Headers.Field] = []

    /// The parameter `name`, compared case-insensitively; `nil` without one.
    package subscript(_ name: String) -> String? { parameters.first { Headers.equal($0.name, name) }?.value }

    /// - Parameter text: The field's value.
    /// - Returns: `nil` if it is malformed or gives a parameter twice.
    package init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        let value = Self.take(&rest) { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        // A media type or a disposition is a token; and whoever compares it need not fear what else came.
        guard !value.isEmpty, value.allSatisfy({ $0 < 0x80 }) else { return nil }
        self.value = String(decoding: value, as: UTF8.self).lowercased()
        while true {
            Self.skipSpace(&rest)
            guard let separator = rest.popFirst() else { return }
            guard separator == UInt8(ascii: ";") else { return nil }
            Self.skipSpace(&rest)
            // A `;` at the end, or two of them, say nothing.
            if rest.isEmpty || rest.first == UInt8(ascii: ";") { continue }
            let name = String(decoding: Self.take(&rest, while: Token.isTokenByte), as: UTF8.self)
            guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "="), self[name] == nil else { return nil }
            let isQuoted = rest.first == UInt8(ascii: "\"")
            let bytes = isQuoted ? Self.takeQuoted(&rest) : Array(Self.take(&rest, while: Token.isTokenByte))
            guard let bytes, isQuoted || !bytes.isEmpty, let value = String(validating: bytes, as: UTF8.self) else {
                return nil
            }
            parameters.append(Headers.Field(name: name, value: value))
        }
    }

    private static func skipSpace(_ rest: inout ArraySlice<UInt8>) {
        _ = take(&rest) { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    private static func take(
        _ rest: inout ArraySlice<UInt8>,
        while isWanted: (UInt8) -> Bool
    ) -> ArraySlice<UInt8> {
        let taken = rest.prefix(while: isWanted)
        rest = rest.dropFirst(taken.count)
        return taken
    }

    /// A quoted string's content; `nil` if its end is missing.
    private static func takeQuoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        rest.removeFirst()
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch (byte, rest.first) {
            case (UInt8(ascii: "\""), _): return bytes
            case (UInt8(ascii: "\\"), UInt8(ascii: "\"")?), (UInt8(ascii: "\\"), UInt8(ascii: "\\")?):
                bytes.append(rest.removeFirst())
            default: bytes.append(byte)
            }
        }
        return nil
    }
}

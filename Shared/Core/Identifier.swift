/// The two kinds of people.
///
/// A `Kehu` (客户) is a customer, a `Kefu` (客服) an agent; those words appear
/// only on the wire.
package enum UserType: String, Sendable, WireWord {
    case customer = "Kehu"
    case agent = "Kefu"

    /// Reads a wire name: case-insensitive, with the synonyms `customer|client` and `support|agent`.
    package init?(wire: some StringProtocol) {
        // None of these words is longer; and whoever asks may have been sent anything.
        guard wire.utf8.count <= 8, wire.isASCII else { return nil }
        switch wire.lowercased() {
        case "kehu", "customer", "client": self = .customer
        case "kefu", "support", "agent": self = .agent
        default: return nil
        }
    }
}

/// The rules of names that travel in URLs, JSON and log lines unescaped.
package enum Identifier {
    package static let userIDLengthMax = 64
    package static let clientIDLengthMax = 64

    /// Whether `text` is `[A-Za-z0-9_.-]{1,64}` and not `.` or `..`.
    package static func isUserID(_ text: some StringProtocol) -> Bool {
        var text = String(text)
        return text.withUTF8 { isUserID(UnsafeRawBufferPointer($0)) }
    }

    /// The same for a name's bytes: what the gateway's hot path asks, where the generic form was 7 % of a message.
    package static func isUserID(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard (1...userIDLengthMax).contains(bytes.count) else { return false }
        var isDots = true
        for byte in bytes {
            guard isNameByte(byte) else { return false }
            if byte != UInt8(ascii: ".") { isDots = false }
        }
        return !isDots || bytes.count > 2
    }

    /// Whether `byte` is one of `A-Z a-z 0-9 _ . -`.
    package static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// One answer of a Redis server, in either version of its protocol (RESP2, RESP3).
///
/// Null strings and arrays of RESP2 and the null of RESP3 are one `.null`. Attributes are dropped: the servers send
/// them to clients that asked, and ours does not.
package enum RESPValue: Sendable, Equatable {
    case null
    /// A simple string, such as `OK`.
    case status(String)
    /// A bulk string.
    case string([UInt8])
    case integer(Int)
    case double(Double)
    case boolean(Bool)
    /// An integer of any size, in decimal digits.
    case bigNumber(String)
    /// Text with its format, `txt` or `mkd`.
    case verbatim(format: String, [UInt8])
    case error(RedisServerError)
    case array([RESPValue])
    case set([RESPValue])
    case map([Entry])
    /// Not an answer: something that the server says of its own accord.
    case push([RESPValue])

    /// One pair of a map; Redis keeps an order and does not promise that keys differ.
    package struct Entry: Sendable, Equatable {
        package let key: RESPValue
        package let value: RESPValue

        package init(_ key: RESPValue, _ value: RESPValue) {
            self.key = key
            self.value = value
        }
    }

    /// The bytes of a string of any kind.
    package var bytes: [UInt8]? {
        switch self {
        case .string(let bytes), .verbatim(_, let bytes): bytes
        case .status(let text): Array(text.utf8)
        default: nil
        }
    }

    /// The text of a string of any kind; what is not UTF-8 in it is replaced.
    package var text: String? {
        switch self {
        case .string(let bytes), .verbatim(_, let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        default: nil
        }
    }

    /// An integer, or a string that holds one in decimal, as stored numbers come back.
    package var integer: Int? {
        switch self {
        case .integer(let number): number
        case .string(let bytes): bytes.withUnsafeBytes { Decimal.integer($0) }
        default: nil
        }
    }

    /// The elements of an array, a set or a push.
    package var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The pairs of a map, which RESP2 sends as an array of keys and values in turn.
    package var entries: [Entry]? {
        switch self {
        case .map(let entries): entries
        case .array(let elements) where elements.count.isMultiple(of: 2):
            stride(from: 0, to: elements.count, by: 2).map { Entry(elements[$0], elements[$0 + 1]) }
        default: nil
        }
    }

    /// The value of a map's first entry whose key is the string `key`.
    package subscript(key: String) -> RESPValue? {
        entries?.first { $0.key.text == key }?.value
    }
}

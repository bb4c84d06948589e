/// One string of a command after its name.
package enum RedisArgument: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case text(String)
    case bytes([UInt8])
    case integer(Int)
    /// A key; the first one of a command says which primary of a cluster it goes to.
    case key(String)

    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }

    /// At most, without what goes around it.
    fileprivate var bytesMax: Int {
        switch self {
        case .text(let text), .key(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .integer: Decimal.digitsMax
        }
    }
}

/// A command as it is written to the server, with its place in a cluster.
package struct RedisCommand: Sendable {
    /// All of it, as it is sent; a password, if it is one, in plain.
    package let bytes: [UInt8]
    /// Where in `bytes` the first key lies; `nil` when the command has none.
    private let key: Range<Int>?

    /// - Parameters:
    ///   - name: Such as `FCALL`; one of two words (`CLIENT SETNAME`) is the name and an argument.
    ///   - arguments: What follows; each key as `.key`, since the client does not know where a command has its keys.
    package init(_ name: String, _ arguments: RedisArgument...) {
        self.init(name, arguments)
    }

    /// The same for a list.
    package init(_ name: String, _ arguments: [RedisArgument]) {
        var room = name.utf8.count + 2 * RESPEncoder.frameBytesMax
        for argument in arguments { room += argument.bytesMax + RESPEncoder.frameBytesMax }
        var key: Range<Int>?
        bytes = [UInt8](unsafeUninitializedCapacity: room) { place, count in
            var encoder = RESPEncoder(UnsafeMutableRawBufferPointer(place))
            encoder.beginCommand(count: 1 + arguments.count)
            encoder.append(name)
            for argument in arguments {
                switch argument {
                case .text(let text): encoder.append(text)
                case .bytes(let bytes): bytes.withUnsafeBytes { encoder.append($0) }
                case .integer(let number): encoder.append(number)
                case .key(let text):
                    encoder.append(text)
                    let end = encoder.count - 2
                    if key == nil { key = (end - text.utf8.count)..<end }
                }
            }
            count = encoder.count
        }
        self.key = key
    }

    /// The slot of the first key; `nil` for a command that any primary takes.
    package var hashSlot: Int? {
        guard let key else { return nil }
        return bytes.withUnsafeBytes { HashSlot.of(UnsafeRawBufferPointer(rebasing: $0[key])) }
    }
}

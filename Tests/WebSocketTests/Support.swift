import WebSocket

/// A message with its bytes copied out.
enum Received: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, String)

    init(_ message: Message) {
        switch message {
        case .text(let bytes): self = .text(String(decoding: bytes, as: UTF8.self))
        case .binary(let bytes): self = .binary(Array(bytes))
        case .ping(let bytes): self = .ping(Array(bytes))
        case .pong(let bytes): self = .pong(Array(bytes))
        case .close(let code, let reason): self = .close(code?.rawValue, String(decoding: reason, as: UTF8.self))
        }
    }
}

/// What a decoder made of a stream.
struct Outcome: Equatable {
    var messages: [Received] = []
    var error: FrameError?
    /// The most memory that was held between two pieces, in bytes.
    var heldBytesMax = 0

    /// Decodes `pieces`, each in memory of exactly its size, until an error.
    init(_ pieces: [[UInt8]], role: MessageDecoder.Role = .server, messageBytesMax: Int = 1 << 20) {
        var decoder = MessageDecoder(role: role, messageBytesMax: messageBytesMax)
        for piece in pieces {
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: piece)
            var input = memory
            do throws(FrameError) {
                while let message = try decoder.next(&input) { messages.append(Received(message)) }
            } catch {
                self.error = error
                return
            }
            precondition(input.isEmpty)
            heldBytesMax = max(heldBytesMax, decoder.heldBytes)
        }
    }

    init(_ bytes: [UInt8], role: MessageDecoder.Role = .server, messageBytesMax: Int = 1 << 20) {
        self.init([bytes], role: role, messageBytesMax: messageBytesMax)
    }

    init(bytewise bytes: [UInt8], role: MessageDecoder.Role = .server, messageBytesMax: Int = 1 << 20) {
        self.init(bytes.map { [$0] }, role: role, messageBytesMax: messageBytesMax)
    }

    init(_ bytes: [UInt8], splitAt split: Int, role: MessageDecoder.Role = .server, messageBytesMax: Int = 1 << 20) {
        self.init(
            [Array(bytes[..<split]), Array(bytes[split...])],
            role: role,
            messageBytesMax: messageBytesMax
        )
    }

    static func == (a: Outcome, b: Outcome) -> Bool { a.messages == b.messages && a.error == b.error }
}

/// A second decoder for comparison, as plain as it can be: a whole stream at once, byte by byte, no limits.
struct ReferenceDecoder {
    var messages: [Received] = []
    var hasFailed = false

    init(_ stream: [UInt8]) { decode(stream) }

    private mutating func decode(_ stream: [UInt8]) {
        var rest = stream[...]
        var fragments: (isText: Bool, bytes: [UInt8])?
        func take(_ count: Int) -> [UInt8]? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        while let first = take(1)?[0] {
            let opcode = first % 16
            let isFinal = first >= 128
            let isControl = opcode >= 8
            guard first / 16 % 8 == 0, [0, 1, 2, 8, 9, 10].contains(opcode), isFinal || !isControl else {
                return fail()
            }
            guard let second = take(1)?[0] else { return }
            guard second >= 128, !isControl || second <= 128 + 125 else { return fail() }
            var length = UInt64(second - 128)
            if length >= 126 {
                let width = length == 126 ? 2 : 8
                guard let bytes = take(width) else { return }
                length = bytes.reduce(0) { $0 * 256 + UInt64($1) }
                guard length <= UInt64(Int.max), length > (width == 2 ? 125 : 65535) else { return fail() }
            }
            guard let key = take(4) else { return }
            if !isControl, (opcode == 0) != (fragments != nil) { return fail() }
            guard length < 1 << 20 else { return fail() }
            guard let masked = take(Int(length)) else { return }
            let payload = masked.enumerated().map { $0.element ^ key[$0.offset % 4] }
            switch opcode {
            case 9: messages.append(.ping(payload))
            case 10: messages.append(.pong(payload))
            case 8:
                if payload.isEmpty { return messages.append(.close(nil, "")) }
                guard payload.count > 1 else { return fail() }
                let code = UInt16(payload[0]) * 256 + UInt16(payload[1])
                let reason = String(validating: payload.dropFirst(2), as: UTF8.self)
                guard CloseCode(rawValue: code).isValidOnWire, let reason else { return fail() }
                return messages.append(.close(code, reason))
            default:
                var whole = fragments ?? (isText: opcode == 1, bytes: [])
                whole.bytes += payload
                fragments = whole
                guard isFinal else { continue }
                fragments = nil
                if !whole.isText {
                    messages.append(.binary(whole.bytes))
                } else if let text = String(validating: whole.bytes, as: UTF8.self) {
                    messages.append(.text(text))
                } else {
                    return fail()
                }
            }
        }
    }

    private mutating func fail() { hasFailed = true }
}

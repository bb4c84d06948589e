/// A WebSocket client that sends exactly what it is told to.
package struct SocketClient: Sendable {
    package let raw: RawClient
    /// The answer's head.
    package let head: String

    /// Connects to 127.0.0.1 and waits for the end of the answer's head.
    ///
    /// - Parameters:
    ///   - port: In host order.
    ///   - target: Asked for, path and query.
    ///   - isHandshake: Whether it asks for the upgrade, as a server that checks wants it.
    ///   - receiveBufferBytes: As `RawClient` has it.
    ///   - early: Sent in one piece with the request.
    package init(
        port: UInt16,
        target: String = "/",
        isHandshake: Bool = false,
        receiveBufferBytes: Int32 = 0,
        early: [UInt8] = []
    ) async throws {
        raw = try await RawClient(port: port, receiveBufferBytes: receiveBufferBytes)
        let upgrade = """
            Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r
            Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n
            """
        let request = "GET \(target) HTTP/1.1\r\nHost: h\r\n" + (isHandshake ? upgrade : "") + "\r\n"
        try await raw.send(Array(request.utf8) + early)
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try await raw.receive(exactly: 1) }
        self.head = String(decoding: head, as: UTF8.self)
    }

    /// A masked frame.
    package static func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        let key: [UInt8] = [0x12, 0xa4, 0x56, 0xe8]
        var bytes = [opcode | (isFinal ? 0x80 : 0)]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else {
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        }
        return bytes + key + payload.enumerated().map { $0.element ^ key[$0.offset % 4] }
    }

    /// A frame with a text message.
    package static func text(_ text: String) -> [UInt8] { frame(1, Array(text.utf8)) }

    /// A close frame.
    package static func close(_ code: UInt16) -> [UInt8] { frame(8, [UInt8(code >> 8), UInt8(code & 0xff)]) }

    /// Sends everything.
    package func send(_ bytes: [UInt8]) async throws { try await raw.send(bytes) }

    /// The next frame's opcode and payload.
    package func receive() async throws -> (opcode: UInt8, payload: [UInt8]) {
        let head = try await raw.receive(exactly: 2)
        var length = Int(head[1])
        if length >= 126 {
            let count = length == 126 ? 2 : 8
            length = try await raw.receive(exactly: count).reduce(0) { $0 << 8 | Int($1) }
        }
        return (head[0] & 0x0f, try await raw.receive(exactly: length))
    }

    /// The next frame's text; of one that is no text its opcode.
    package func receiveText() async throws -> String {
        let (opcode, payload) = try await receive()
        return opcode == 1 ? String(decoding: payload, as: UTF8.self) : "opcode \(opcode)"
    }

    /// Reads on to the close frame; its code, 0 when it has none.
    package func receiveClose() async throws -> (code: UInt16, reason: String) {
        while true {
            let (opcode, payload) = try await receive()
            guard opcode == 8 else { continue }
            guard payload.count >= 2 else { return (0, "") }
            let reason = String(decoding: payload[2...], as: UTF8.self)
            return (UInt16(payload[0]) << 8 | UInt16(payload[1]), reason)
        }
    }
}

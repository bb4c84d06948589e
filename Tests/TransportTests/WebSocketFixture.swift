import Glibc
import HTTP
import Net
import Synchronization
import TestSupport
import Transport
import WebSocket

/// What a handler was told, and a way to reach its connection.
final class SocketRecord: Sendable {
    private struct State {
        var events: [String] = []
        var control: LoopBound<WebSocketConnection>?
        var inode: UInt64 = 0
        var descriptor: Int32 = -1
    }

    private let state = Mutex(State())

    var events: [String] { state.withLock { $0.events } }

    func add(_ event: String) { state.withLock { $0.events.append(event) } }

    func opened(_ connection: WebSocketConnection) {
        state.withLock { state in
            state.control = LoopBound(connection, loop: connection.loop)
            state.descriptor = connection.descriptor
            state.inode = Self.inode(connection.descriptor)
        }
    }

    /// Runs `work` with the connection on its loop, after what the loop has to do already.
    func run(_ work: @escaping @Sendable (WebSocketConnection) -> Void) async {
        guard let control = state.withLock({ $0.control }) else { return }
        await withCheckedContinuation { done in
            control.loop.submit {
                work(control.value)
                done.resume()
            }
        }
    }

    /// Whether the server's end of the connection is closed: its number free, or another file's.
    var isDescriptorFree: Bool {
        state.withLock { $0.descriptor >= 0 && Self.inode($0.descriptor) != $0.inode }
    }

    private static func inode(_ descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}

/// Notes everything; does what a text says, and echoes others.
final class ScriptedHandler: WebSocketHandler {
    private let connection: WebSocketConnection
    private let record: SocketRecord

    init(_ connection: WebSocketConnection, _ record: SocketRecord) {
        self.connection = connection
        self.record = record
    }

    func received(text: UnsafeMutableRawBufferPointer) {
        let text = String(decoding: text, as: UTF8.self)
        record.add(text)
        switch text {
        case "pause": connection.pauseReading()
        case "pause and resume":
            connection.pauseReading()
            connection.resumeReading()
        case "pause and close":
            connection.pauseReading()
            connection.close(.goingAway, reason: "bye")
        case "close": connection.close(.goingAway, reason: "bye")
        case "abort": connection.abort()
        case "drain":
            connection.send(text: "last")
            connection.notifyWhenDrained()
        case "flood":
            let piece = String(repeating: "x", count: 60_000)
            while connection.isOpen { connection.send(text: piece) }
        case _ where text.hasPrefix("quiet"): break
        default: connection.send(text: text)
        }
    }

    func received(binary: UnsafeRawBufferPointer) { record.add("binary \(binary.count)") }
    func received(pong: UnsafeRawBufferPointer) { record.add("pong \(String(decoding: pong, as: UTF8.self))") }
    func drained() { record.add("drained") }
    func closed(code: CloseCode?) { record.add("closed \(code.map { String($0.rawValue) } ?? "without a code")") }
}

/// A WebSocket client that sends exactly what it is told to.
struct SocketClient {
    let raw: RawClient

    /// - Parameter early: Sent in one piece with the request.
    init(port: UInt16, receiveBufferBytes: Int32 = 0, early: [UInt8] = []) async throws {
        raw = try await RawClient(port: port, receiveBufferBytes: receiveBufferBytes)
        try await raw.send(Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8) + early)
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try await raw.receive(exactly: 1) }
    }

    /// A masked frame.
    static func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        let key: [UInt8] = [0x12, 0xa4, 0x56, 0xe8]
        var bytes = [opcode | (isFinal ? 0x80 : 0)]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else {
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        }
        return bytes + key + payload.enumerated().map { $0.element ^ key[$0.offset % 4] }
    }

    static func text(_ text: String) -> [UInt8] { frame(1, Array(text.utf8)) }

    static func close(_ code: UInt16) -> [UInt8] { frame(8, [UInt8(code >> 8), UInt8(code & 0xff)]) }

    func send(_ bytes: [UInt8]) async throws { try await raw.send(bytes) }

    /// The next frame's opcode and payload.
    func receive() async throws -> (opcode: UInt8, payload: [UInt8]) {
        let head = try await raw.receive(exactly: 2)
        var length = Int(head[1])
        if length >= 126 {
            let count = length == 126 ? 2 : 8
            length = try await raw.receive(exactly: count).reduce(0) { $0 << 8 | Int($1) }
        }
        return (head[0] & 0x0f, try await raw.receive(exactly: length))
    }

    func receiveText() async throws -> String {
        let (opcode, payload) = try await receive()
        return opcode == 1 ? payload.text : "opcode \(opcode)"
    }

    /// Reads on to the close frame; its code, 0 when it has none.
    func receiveClose() async throws -> (code: UInt16, reason: String) {
        while true {
            let (opcode, payload) = try await receive()
            guard opcode == 8 else { continue }
            guard payload.count >= 2 else { return (0, "") }
            return (UInt16(payload[0]) << 8 | UInt16(payload[1]), Array(payload[2...]).text)
        }
    }
}

/// A server whose every connection becomes a WebSocket with a `ScriptedHandler`.
func withSocketServer(
    limits: WebSocketConnection.Limits = .init(messageBytesMax: 64 * 1024),
    _ test: (SocketRecord, UInt16) async throws -> Void
) async throws {
    let record = SocketRecord()
    let handler: Handler = { _ in
        let upgrade = StreamUpgrade { upgraded in
            let connection = WebSocketConnection(
                descriptor: upgraded.descriptor,
                loop: upgraded.loop,
                received: upgraded.received,
                pendingOutput: upgraded.pendingOutput,
                limits: limits
            )
            record.opened(connection)
            do {
                try connection.start(ScriptedHandler(connection, record))
            } catch {
                record.add("not started: \(error)")
            }
        }
        return Response(101, headers: ["Upgrade": "websocket", "Connection": "Upgrade"], body: .upgrade(upgrade))
    }
    try await withServer(handler: handler) { _, port in try await test(record, port) }
}

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

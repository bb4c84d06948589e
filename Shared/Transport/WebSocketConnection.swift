import Core
import Glibc
package import Net
package import WebSocket

/// What a WebSocket's owner is told.
///
/// All calls come on the connection's loop.
package protocol WebSocketHandler: AnyObject {
    /// A whole text message, valid UTF-8; the bytes are valid during the call only.
    func received(text: UnsafeMutableRawBufferPointer)
    /// A whole binary message; the bytes are valid during the call only.
    func received(binary: UnsafeRawBufferPointer)
    /// A pong with the payload of the ping that it answers (or an unasked one).
    func received(pong: UnsafeRawBufferPointer)
    /// A ping, which the connection has answered already.
    func receivedPing()
    /// Everything queued has been written, after `notifyWhenDrained`.
    func drained()
    /// The connection is gone; the last call. `code` is what the peer or we closed with, `nil` without a close frame.
    func closed(code: CloseCode?)
}

extension WebSocketHandler {
    package func receivedPing() {}
}

/// One open WebSocket (RFC 6455), server side, on its event loop.
///
/// Frames out gather in a queue and are written once at the end of the loop's turn. A peer that does not read is
/// closed when more than `outboundBytesMax` waits for it: it is never waited for. Not `Sendable`: it belongs to its
/// loop.
package final class WebSocketConnection: Channel {
    /// Limits of one connection.
    package struct Limits: Sendable {
        /// Largest message taken, in bytes; a larger one closes with 1009.
        package var messageBytesMax: Int
        /// Most bytes that wait for a peer that does not read; beyond it closes with 1013.
        package var outboundBytesMax: Int
        /// How long the peer has to answer a close frame.
        package var closeTimeout: Duration

        package init(messageBytesMax: Int, outboundBytesMax: Int = 1 << 20, closeTimeout: Duration = .seconds(5)) {
            self.messageBytesMax = messageBytesMax
            self.outboundBytesMax = outboundBytesMax
            self.closeTimeout = closeTimeout
        }
    }

    private enum State {
        case open
        /// Our close frame is queued; the peer's is awaited. Nothing more is sent.
        case closing
        /// Both close frames are queued or the peer broke the protocol: write what waits, then end the stream.
        case finishing
        /// The stream to the peer is ended; its end is awaited, so that our last bytes are not lost to a reset.
        case lingering
        case closed
    }

    package let descriptor: Int32
    package let loop: EventLoop
    /// Nil after `closed`.
    package private(set) var handler: (any WebSocketHandler)?
    private let limits: Limits
    private var decoder: MessageDecoder
    private var outbound = ByteQueue()
    /// Input that came with the upgrade request or while reading was paused.
    private var heldInput: [UInt8] = []
    private var state = State.open
    private var closeCode: CloseCode?
    private var closeTimer: TimerID?
    private var isPaused = false
    private var isDecoding = false
    private var wantsDrained = false

    /// Takes a descriptor over after the 101 answer.
    ///
    /// - Parameters:
    ///   - received: What the peer sent behind its request.
    ///   - pendingOutput: The 101 head, not sent yet.
    package init(
        descriptor: Int32,
        loop: EventLoop,
        received: [UInt8] = [],
        pendingOutput: [UInt8],
        limits: Limits
    ) {
        self.descriptor = descriptor
        self.loop = loop
        self.limits = limits
        decoder = MessageDecoder(role: .server, messageBytesMax: limits.messageBytesMax)
        heldInput = received
        pendingOutput.withUnsafeBytes { outbound.append($0) }
    }

    /// Starts reading and writing.
    ///
    /// - Throws: `SystemCallError` when the loop cannot watch the descriptor, which is then closed.
    package func start(_ handler: any WebSocketHandler) throws(SystemCallError) {
        self.handler = handler
        do {
            try loop.register(self, descriptor: descriptor, .read)
        } catch {
            state = .closed
            self.handler = nil
            Glibc.close(descriptor)
            throw error
        }
        loop.markDirty(descriptor: descriptor)
        decodeHeldInput()
    }

    // MARK: - Sending

    /// Whether messages can still be sent.
    package var isOpen: Bool { state == .open }

    /// How many bytes wait for the socket.
    package var outboundCount: Int { outbound.count }

    /// Queues a message of `payloadLength` bytes, which `write` fills in at once; dropped when the connection closes.
    package func send(
        _ opcode: Opcode = .text,
        payloadLength: Int,
        _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        guard state == .open else { return }
        guard outbound.count + payloadLength <= limits.outboundBytesMax || outbound.isEmpty else {
            return close(.tryAgainLater, reason: "slow consumer")
        }
        enqueue(opcode, payloadLength, write)
    }

    /// Queues a message.
    package func send(_ opcode: Opcode = .text, _ payload: UnsafeRawBufferPointer) {
        send(opcode, payloadLength: payload.count) { $0.copyMemory(from: payload) }
    }

    /// Queues a text message.
    package func send(text: String) {
        var text = text
        text.withUTF8 { send(.text, UnsafeRawBufferPointer($0)) }
    }

    /// Has `drained` called once when everything queued has been written.
    package func notifyWhenDrained() {
        wantsDrained = true
        loop.markDirty(descriptor: descriptor)
    }

    private func enqueue(
        _ opcode: Opcode,
        _ payloadLength: Int,
        _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let headerLength = FrameEncoder.headerLength(payload: payloadLength)
        let place = outbound.reserve(headerLength + payloadLength)
        // The header alone is at least two bytes, so there is an address.
        if let base = place.baseAddress {
            _ = FrameEncoder.writeHeader(opcode: opcode, payloadLength: payloadLength, into: base)
        }
        write(UnsafeMutableRawBufferPointer(rebasing: place[headerLength...]))
        loop.markDirty(descriptor: descriptor)
    }

    /// Sends a close frame (RFC 6455 §5.5.1), waits for the peer's within the time-out, and closes.
    package func close(_ code: CloseCode, reason: String = "") {
        guard state == .open else { return }
        enqueueClose(code, reason)
        closeCode = code
        state = .closing
        startCloseTimer()
        // A paused reader would never see the peer's answer.
        if isPaused { resumeReading() }
    }

    private func enqueueClose(_ code: CloseCode?, _ reason: String) {
        let text = Array(reason.utf8.prefix(FrameEncoder.closeReasonBytesMax))
        enqueue(.close, code == nil ? 0 : 2 + text.count) { place in
            guard let code else { return }
            place[0] = UInt8(code.rawValue >> 8)
            place[1] = UInt8(code.rawValue & 0xff)
            text.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: place[2...]).copyMemory(from: $0) }
        }
    }

    private func startCloseTimer() {
        closeTimer = loop.schedule(after: limits.closeTimeout) { [self] in
            closeTimer = nil
            tearDown()
        }
    }

    // MARK: - Back-pressure

    /// Stops taking messages, also those that are read already, until `resumeReading`.
    package func pauseReading() {
        guard state == .open, !isPaused else { return }
        isPaused = true
        updateInterest()
    }

    /// Takes messages again, those first that were read before the pause.
    package func resumeReading() {
        guard isPaused else { return }
        isPaused = false
        updateInterest()
        decodeHeldInput()
    }

    private func updateInterest() {
        guard state != .closed else { return }
        var interest: Interest = isPaused ? [] : .read
        if !outbound.isEmpty && isBlocked { interest.insert(.write) }
        loop.update(descriptor: descriptor, interest)
    }

    /// Whether the last write left bytes behind, so that the loop waits for the socket to take more.
    private var isBlocked = false

    // MARK: - Channel

    package func ready(_ readiness: Readiness) {
        if readiness.contains(.write) { flush() }
        if state == .closed { return }
        if isPaused {
            // Nothing is read now, and the loop would report the hang-up again and again.
            if readiness.contains(.hangUp) { tearDown() }
            return
        }
        if readiness.contains(.read) || readiness.contains(.hangUp) { readOnce() }
    }

    private func readOnce() {
        switch Socket.read(descriptor, into: loop.readBuffer) {
        case .bytes(let count):
            guard state == .open || state == .closing else { return }
            decode(UnsafeMutableRawBufferPointer(rebasing: loop.readBuffer[..<count]))
        case .wouldBlock: break
        case .end, .failed: tearDown()
        }
    }

    private func decodeHeldInput() {
        guard !heldInput.isEmpty, !isDecoding, !isPaused else { return }
        var input = heldInput
        heldInput = []
        input.withUnsafeMutableBytes { decode($0) }
    }

    private func decode(_ bytes: UnsafeMutableRawBufferPointer) {
        var input = bytes
        isDecoding = true
        defer { isDecoding = false }
        do {
            while state == .open || state == .closing {
                if isPaused {
                    heldInput += input
                    return
                }
                guard let message = try decoder.next(&input) else { return }
                dispatch(message)
            }
        } catch {
            fail(error)
        }
    }

    private func dispatch(_ message: Message) {
        switch message {
        case .close(let code, _): peerClosed(code)
        case _ where state != .open:
            // RFC 6455 §1.4: after our close frame what the peer still sends is of no interest.
            break
        case .text(let bytes): handler?.received(text: UnsafeMutableRawBufferPointer(mutating: bytes))
        case .binary(let bytes): handler?.received(binary: bytes)
        case .ping(let bytes):
            send(.pong, bytes)
            handler?.receivedPing()
        case .pong(let bytes): handler?.received(pong: bytes)
        }
    }

    private func peerClosed(_ code: CloseCode?) {
        if state == .open {
            enqueueClose(code, "")
            closeCode = code
            startCloseTimer()
        }
        state = .finishing
        loop.markDirty(descriptor: descriptor)
    }

    private func fail(_ error: FrameError) {
        if state == .open {
            enqueueClose(error.closeCode, "")
            closeCode = error.closeCode
            startCloseTimer()
        }
        state = .finishing
        loop.markDirty(descriptor: descriptor)
    }

    package func flush() {
        while !outbound.isEmpty {
            switch Socket.write(descriptor, outbound.waiting) {
            case .bytes(let count): outbound.consume(count)
            case .wouldBlock:
                isBlocked = true
                return updateInterest()
            case .end, .failed: return tearDown()
            }
        }
        if isBlocked {
            isBlocked = false
            updateInterest()
        }
        if state == .finishing {
            state = .lingering
            shutdown(descriptor, Int32(SHUT_WR))
        } else if wantsDrained {
            wantsDrained = false
            handler?.drained()
        }
    }

    // MARK: - End

    /// Closes at once, without a close frame.
    package func abort() {
        tearDown()
    }

    private func tearDown() {
        guard state != .closed else { return }
        state = .closed
        if let closeTimer { loop.cancel(closeTimer) }
        closeTimer = nil
        loop.deregister(descriptor: descriptor)
        Glibc.close(descriptor)
        outbound.removeAll()
        heldInput = []
        let handler = handler
        self.handler = nil
        handler?.closed(code: closeCode)
    }
}

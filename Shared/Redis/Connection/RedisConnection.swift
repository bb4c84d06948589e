import Core
import Glibc
import Net

/// One TCP connection to a server: commands go out in one write a turn, answers are matched in order.
///
/// Lives on its node's loop, and is used once: when it ends, the node gets back what has no answer.
final class RedisConnection: Channel {
    private enum Phase {
        case connecting, open, closed
    }

    /// Why it ended.
    enum End {
        case lost(String)
        /// The command in front got no answer in time.
        case timedOut
        case malformed(RESPError)
        /// The greeting was answered with an error that does not pass by itself.
        case refused(RedisServerError)
        /// The client is shut down.
        case wanted

        /// What is told to commands while there is no other connection.
        func failure(of endpoint: RedisEndpoint) -> RedisError {
            if case .refused(let error) = self { .refused(error) } else { .unavailable("\(endpoint): \(reason)") }
        }

        var reason: String {
            switch self {
            case .lost(let reason): reason
            case .timedOut: "no answer in time"
            case .malformed(let error): "malformed answer: \(error)"
            case .refused(let error): error.description
            case .wanted: "shut down"
            }
        }

        /// What is told to a command that was in flight.
        func error(_ pending: PendingCommand, written: Int, now: Int64) -> RedisError {
            let mayHaveRun = pending.end <= written
            switch self {
            case .timedOut where pending.deadline <= now, .lost where !mayHaveRun && pending.deadline <= now:
                return .timedOut(mayHaveRun: mayHaveRun)
            case .malformed(let error): return .malformedAnswer(error)
            case .wanted: return .shutDown(mayHaveRun: mayHaveRun)
            case .timedOut, .lost, .refused: return .connectionLost(mayHaveRun: mayHaveRun)
            }
        }
    }

    /// More than this is not kept when it has been written.
    private static let keptOutputBytes = 1 << 20

    private let loop: EventLoop
    private var node: RedisNode?
    private var phase = Phase.connecting
    private var descriptor: Int32 = -1
    /// Addresses not tried yet.
    private var addresses: ArraySlice<SocketAddress>
    private var output = ByteQueue()
    /// Bytes ever put into `output`.
    private var appended = 0
    private var isBlocked = false
    private var inFlight = RingBuffer<PendingCommand>()
    private var parser: RESPParser
    /// Set while something is in flight, for the deadline that was in front when it was set.
    private var timer: TimerID?

    init(_ node: RedisNode, _ addresses: [SocketAddress]) {
        self.node = node
        loop = node.loop
        self.addresses = addresses[...]
        parser = RESPParser(limits: node.configuration.limits)
    }

    // MARK: - Connecting

    /// Tries the next address; the node bounds the time.
    func connect(after failure: String = "no address") {
        guard let address = addresses.popFirst() else {
            end(.lost(failure))
            return
        }
        do throws(SystemCallError) {
            descriptor = try Socket.connect(address)
            Socket.setNoDelay(descriptor)
            try loop.register(self, descriptor: descriptor, .write)
        } catch {
            dropDescriptor()
            connect(after: error.description)
        }
    }

    private func connected() {
        let code = Socket.pendingError(descriptor)
        guard code == 0 else {
            dropDescriptor()
            connect(after: SystemCallError("connect", code: code).description)
            return
        }
        phase = .open
        loop.update(descriptor: descriptor, .read)
        node?.connected()
    }

    // MARK: - Commands out

    /// Sends a command at the end of this turn; the connection is open.
    func send(_ pending: PendingCommand) {
        if pending.isAsking { append(.asking(deadline: pending.deadline)) }
        append(pending)
        if timer == nil { setTimer(pending.deadline) }
        if !isBlocked { loop.markDirty(descriptor: descriptor) }
    }

    private func append(_ pending: PendingCommand) {
        var pending = pending
        pending.command.bytes.withUnsafeBytes { output.append($0) }
        appended += pending.command.bytes.count
        pending.end = appended
        inFlight.append(pending)
    }

    func flush() { if !isBlocked { write() } }

    private func write() {
        while !output.isEmpty {
            switch Socket.write(descriptor, output.waiting) {
            case .bytes(let count) where count == output.count:
                output.removeAll(keepingCapacity: count <= Self.keptOutputBytes)
            case .bytes(let count): output.consume(count)
            case .wouldBlock:
                block(true)
                return
            case .end, .failed:
                // The server may have said why before it went.
                read()
                if phase == .open { end(.lost("the server does not read")) }
                return
            }
        }
        block(false)
    }

    private func block(_ isBlocked: Bool) {
        guard self.isBlocked != isBlocked else { return }
        self.isBlocked = isBlocked
        loop.update(descriptor: descriptor, isBlocked ? [.read, .write] : .read)
    }

    // MARK: - Answers in

    func ready(_ readiness: Readiness) {
        switch phase {
        case .connecting: connected()
        case .open:
            if readiness.contains(.write), isBlocked { write() }
            if phase == .open, !readiness.isDisjoint(with: [.read, .hangUp]) { read() }
        case .closed: break
        }
    }

    private func read() {
        switch Socket.read(descriptor, into: loop.readBuffer) {
        case .bytes(let count): parse(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count]))
        case .end: end(.lost("the server has closed the connection"))
        case .wouldBlock: break
        case .failed(let code): end(.lost(SystemCallError("recv", code: code).description))
        }
    }

    private func parse(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        do throws(RESPError) {
            // Whoever takes an answer may end the connection.
            while phase == .open, let value = try parser.next(bytes, &offset) { take(value) }
        } catch {
            end(.malformed(error))
        }
    }

    private func take(_ value: RESPValue) {
        if case .push = value { return }
        guard let pending = inFlight.popFirst() else {
            // Said before any command, such as that there are too many clients.
            if case .error(let error) = value { end(.lost(error.description)) } else { end(.lost("unasked answer")) }
            return
        }
        node?.answered(pending, value)
    }

    // MARK: - Ends

    private func setTimer(_ deadline: Int64) {
        timer = loop.schedule(after: .milliseconds(max(deadline - loop.now, 1))) { [self] in lookAtTime() }
    }

    /// The deadline that was in front some time ago has come; the one in front now may be later.
    private func lookAtTime() {
        timer = nil
        guard let deadline = inFlight.first?.deadline else { return }
        guard deadline > loop.now else {
            end(.timedOut)
            return
        }
        setTimer(deadline)
    }

    /// Ends the connection; the node gets what has no answer, oldest first.
    func end(_ end: End) {
        guard phase != .closed else { return }
        phase = .closed
        let written = appended - output.count
        dropDescriptor()
        output.removeAll()
        if let timer { loop.cancel(timer) }
        timer = nil
        let node = node
        self.node = nil
        node?.ended(inFlight.takeAll(), written: written, end)
    }

    private func dropDescriptor() {
        guard descriptor >= 0 else { return }
        loop.deregister(descriptor: descriptor)
        close(descriptor)
        descriptor = -1
    }
}

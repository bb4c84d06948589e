import Core
import Glibc
import HTTP
import Net

/// One HTTP/1.1 connection, server side, on its event loop.
///
/// Requests are handled one at a time; a pipelined one is parsed when the response before it is written. Input
/// waits in the parser, and reading stops while more than `inputBytesMax` of it does, so that a slow handler slows
/// the client down. Not `Sendable`: it belongs to its loop, and tasks reach it through `LoopBound`.
final class HTTPConnection: Channel {
    enum Phase {
        /// Nothing of the next request has come.
        case idle
        /// A request's head has come in part.
        case head
        /// The handler is working.
        case handling
        /// The response's head is queued.
        case responding
        /// The response is written; the rest of the request's body is read and dropped.
        case discarding
        /// Our stream is ended; the client's is read on, so that a reset does not take our last answer from it.
        case lingering
        /// The descriptor is closed or handed on.
        case closed
    }

    /// What a response's body comes from once its head is queued.
    enum Source {
        case none
        /// A task adds pieces.
        case stream(isChunked: Bool, remaining: Int?)
        case file(descriptor: Int32, offset: Int, remaining: Int)
    }

    let descriptor: Int32
    let peer: String
    let shard: HTTPServerShard
    var loop: EventLoop { shard.loop }
    var configuration: HTTPServerConfiguration { shard.configuration }

    var parser: RequestParser
    var phase = Phase.idle
    /// The client has ended its stream; what it sent before is still answered.
    var hasEnded = false
    /// The connection closes after the present response.
    var mustClose = false

    // The exchange in progress.
    /// Numbers the exchanges, so that a task or body of an earlier one cannot touch the present one.
    var exchange = 0
    var request: Request?
    var task: Task<Void, Never>?
    var isBodyComplete = true
    var bodyByteCount = 0
    var bodyFailure: Problem?
    var bodyWaiter: CheckedContinuation<[UInt8]?, any Error>?
    /// The client waits for 100 and has not got it.
    var owesContinue = false
    var discardedByteCount = 0

    // Output.
    var output = OutputQueue()
    var source = Source.none
    var isOutputBlocked = false
    var drainedWaiter: CheckedContinuation<Void, Never>?

    // Time.
    var timer: TimerID?
    var timerDeadline = Int64.max
    /// When the present wait began: for a head, a piece of body, or room in the socket.
    var waitStart: Int64

    init(descriptor: Int32, peer: String, shard: HTTPServerShard) {
        self.descriptor = descriptor
        self.peer = peer
        self.shard = shard
        parser = RequestParser(limits: shard.configuration.limits)
        waitStart = shard.loop.now
    }

    // MARK: - Life

    /// Starts the time-outs of a connection that has just been accepted.
    func begin() {
        waitStart = loop.now
        update()
    }

    func ready(_ readiness: Readiness) {
        if readiness.contains(.read), wantsInput { receive() }
        if readiness.contains(.write), phase != .closed {
            isOutputBlocked = false
            flush()
        }
        if readiness.contains(.hangUp), phase != .closed { close() }
    }

    /// Closes when idle; else the present exchange is the last.
    func drain() {
        if phase == .idle { receive() }
        if phase == .idle { close() } else { mustClose = true }
    }

    /// Ends the connection at once; idempotent.
    func close() {
        guard phase != .closed else { return }
        leave()
        Glibc.close(descriptor)
    }

    /// Ends everything but the descriptor.
    func leave() {
        phase = .closed
        loop.deregister(descriptor: descriptor)
        if let timer { loop.cancel(timer) }
        timer = nil
        task?.cancel()
        task = nil
        request = nil
        closeFile()
        output.removeAll()
        parser = RequestParser(limits: configuration.limits)
        failBody(Problem.badRequest("body: the connection has ended"))
        resumeDrainedWaiter()
        shard.remove(self)
    }

    /// Ends our stream after the last answer, and closes once the client has ended its own.
    func linger() {
        guard phase != .closed else { return }
        if hasEnded {
            close()
            return
        }
        phase = .lingering
        discardedByteCount = 0
        waitStart = loop.now
        _ = parser.takeBuffered()
        shutdown(descriptor, Int32(SHUT_WR))
        update()
    }

    /// Sets what the loop watches for, and the timer, by the state that the connection is in now.
    func update() {
        guard phase != .closed else { return }
        var interest = Interest()
        if wantsInput { interest.insert(.read) }
        if isOutputBlocked { interest.insert(.write) }
        loop.update(descriptor: descriptor, interest)
        updateTimer()
    }

    var wantsInput: Bool {
        if hasEnded || phase == .closed { return false }
        switch phase {
        case .handling, .responding: return parser.bufferedBytes < configuration.inputBytesMax
        default: return true
        }
    }
}

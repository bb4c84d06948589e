package import Core
import Glibc
package import HTTP
package import Net
import Synchronization

/// An HTTP/1.1 server on event loops (RFC 9110, RFC 9112).
///
/// Connections are accepted on the first loop and spread over all in turn. Each request runs in a task on its
/// connection's loop, cancelled when the client goes away.
package final class HTTPServer: Sendable {
    private enum Phase {
        case new
        case running
        case draining
    }

    private struct State {
        var phase = Phase.new
        var listener: Int32 = -1
        var openConnections = 0
        /// Accepting fails and has been logged; it is not logged again until it has worked once.
        var isAcceptFailing = false
        var drainWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let configuration: HTTPServerConfiguration
    private let log: Log
    private let shards: [HTTPServerShard]
    private let turn = Atomic<Int>(0)
    private let state = Mutex(State())
    /// How long accepting pauses when the process has no descriptor left: the listener stays readable, and trying
    /// again at once would spin.
    private static let acceptPause = Duration.milliseconds(100)
    static let acceptsPerTurn = 64

    /// - Parameter handler: Answers every request; usually a router's `respond`.
    package convenience init(
        configuration: HTTPServerConfiguration,
        loops: EventLoopGroup,
        log: Log,
        handler: @escaping Handler
    ) {
        self.init(configuration: configuration, loops: loops, log: log) { Reply($0, handler) }
    }

    /// - Parameter responder: Answers every request; usually a router's `reply` behind the chain of all services.
    package init(
        configuration: HTTPServerConfiguration,
        loops: EventLoopGroup,
        log: Log,
        responder: @escaping Responder
    ) {
        self.configuration = configuration
        self.log = log
        shards = loops.loops.map {
            HTTPServerShard(loop: $0, configuration: configuration, log: log, responder: responder)
        }
        for shard in shards { shard.attach(self) }
    }

    /// How many connections speak HTTP now; upgraded ones are not among them.
    package var openConnections: Int { state.withLock { $0.openConnections } }

    /// Starts listening.
    ///
    /// - Returns: The address, with the port that the kernel chose if it was 0.
    /// - Throws: `SystemCallError` naming the call and the address.
    package func start() throws(SystemCallError) -> SocketAddress {
        // `sendfile` has no flag that keeps it from raising SIGPIPE.
        signal(SIGPIPE, SIG_IGN)
        let listener = try Socket.listen(configuration.address)
        state.withLock { state in
            state.listener = listener
            state.phase = .running
        }
        let address = Socket.localAddress(listener) ?? configuration.address
        shards[0].loop.submit { self.open(listener) }
        return address
    }

    private func open(_ listener: Int32) {
        let channel = HTTPListener(descriptor: listener, server: self)
        do throws(SystemCallError) {
            try shards[0].loop.register(channel, descriptor: listener, .read)
        } catch {
            log.error("listen_failed", ["error": .string(error.description)])
        }
    }

    // MARK: - Accepting (on the first loop)

    func accept(_ listener: Int32) {
        for _ in 0..<Self.acceptsPerTurn {
            do throws(SystemCallError) {
                guard let (descriptor, peer) = try Socket.accept(listener) else { return }
                adopt(descriptor, peer)
            } catch {
                pauseAccepting(listener, error)
                return
            }
        }
    }

    private func pauseAccepting(_ listener: Int32, _ error: SystemCallError) {
        let isNew = state.withLock { state in
            defer { state.isAcceptFailing = true }
            return !state.isAcceptFailing
        }
        if isNew { log.warning("accept_failed", ["error": .string(error.description)]) }
        let loop = shards[0].loop
        loop.update(descriptor: listener, [])
        _ = loop.schedule(after: Self.acceptPause) { [self] in
            if state.withLock({ $0.listener == listener }) { loop.update(descriptor: listener, .read) }
        }
    }

    private func adopt(_ descriptor: Int32, _ peer: SocketAddress) {
        let isAdmitted = state.withLock { state in
            state.isAcceptFailing = false
            guard state.openConnections < configuration.connectionsMax else { return false }
            state.openConnections += 1
            return true
        }
        guard isAdmitted else {
            refuse(descriptor)
            return
        }
        Socket.setNoDelay(descriptor)
        let shard = shards[turn.wrappingAdd(1, ordering: .relaxed).oldValue % shards.count]
        if shard.loop.isCurrent {
            shard.adopt(descriptor, peer)
        } else {
            shard.loop.submit { shard.adopt(descriptor, peer) }
        }
    }

    /// Best effort: one write, then the end.
    ///
    /// There is no room to wait for what the client sends.
    private func refuse(_ descriptor: Int32) {
        var response = Response(.unavailable("too many connections"))
        response.headers["Connection"] = "close"
        guard case .bytes(let body) = response.body else { return }
        response.headers["Content-Length"] = String(body.count)
        var bytes: [UInt8] = []
        try? MessageSerializer.appendResponseHead(response.status, response.headers, to: &bytes)
        bytes += body
        _ = bytes.withUnsafeBytes { Socket.write(descriptor, $0) }
        close(descriptor)
    }

    /// A connection has ended, or left HTTP by an upgrade.
    func connectionEnded() {
        let waiters = state.withLock { state in
            state.openConnections -= 1
            return state.phase == .draining && state.openConnections == 0 ? takeWaiters(&state) : []
        }
        for waiter in waiters { waiter.resume() }
    }

    private func takeWaiters(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        defer { state.drainWaiters = [] }
        return state.drainWaiters
    }

    // MARK: - Draining

    /// Stops: no new connections, idle ones are closed, requests in progress answered with `Connection: close`.
    ///
    /// Whatever is left after `grace` is closed. Later calls wait for the same end.
    package func drain(grace: Duration) async {
        let (listener, isFirst) = state.withLock { state in
            defer {
                state.phase = .draining
                state.listener = -1
            }
            return (state.listener, state.phase != .draining)
        }
        if isFirst { beginDraining(listener, grace: grace) }
        // Work is run in order: after this the listener is closed.
        await withCheckedContinuation { closed in shards[0].loop.submit { closed.resume() } }
        await withCheckedContinuation { waiter in
            let isOver = state.withLock { state in
                if state.openConnections > 0 { state.drainWaiters.append(waiter) }
                return state.openConnections == 0
            }
            if isOver { waiter.resume() }
        }
    }

    private func beginDraining(_ listener: Int32, grace: Duration) {
        shards[0].loop.submit {
            guard listener >= 0 else { return }
            self.shards[0].loop.deregister(descriptor: listener)
            close(listener)
        }
        for shard in shards {
            shard.loop.submit {
                shard.drain()
                _ = shard.loop.schedule(after: grace) { shard.closeAll() }
            }
        }
    }
}

/// The listening socket as a channel of the first loop.
private final class HTTPListener: Channel {
    private let descriptor: Int32
    private let server: HTTPServer

    init(descriptor: Int32, server: HTTPServer) {
        self.descriptor = descriptor
        self.server = server
    }

    func ready(_ readiness: Readiness) { server.accept(descriptor) }
}

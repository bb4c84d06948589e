import Core
import HTTP
import Net

/// The connections to one host and port, and who waits for one; lives on the client's loop.
final class ClientPool {
    let loop: EventLoop
    let configuration: HTTPClientConfiguration
    private let host: String
    private let port: UInt16
    /// Asks for the host's addresses; the answer comes to `resolved`.
    private let resolve: () -> Void
    private var idle: [ClientConnection] = []
    private var openCount = 0
    private var waiting: [ClientExchange] = []
    /// Exchanges that wait for the addresses; each counts as an open connection.
    private var resolving: [ClientExchange] = []
    private var addresses: [SocketAddress] = []
    /// When `addresses` are asked for anew, in milliseconds of the monotonic clock.
    private var addressesExpire: Int64 = 0

    init(
        loop: EventLoop,
        host: String,
        port: UInt16,
        configuration: HTTPClientConfiguration,
        resolve: @escaping () -> Void
    ) {
        self.loop = loop
        self.host = host
        self.port = port
        self.configuration = configuration
        self.resolve = resolve
        if let address = SocketAddress(host: host, port: port) {
            addresses = [address]
            addressesExpire = .max
        }
    }

    /// Finds a connection for an exchange: an idle one, a new one, or the next that becomes free.
    func dispatch(_ exchange: ClientExchange) {
        guard !exchange.isOver else { return }
        if let connection = idle.popLast() {
            connection.begin(exchange)
        } else if openCount < configuration.connectionsPerHostMax {
            openCount += 1
            open(for: exchange)
        } else if waiting.count < configuration.waitersPerHostMax {
            waiting.append(exchange)
        } else {
            exchange.finish(.failure(.tooManyWaiting))
        }
    }

    /// Takes an exchange back from a stale connection; the others that were idle are likely stale too.
    func retry(_ exchange: ClientExchange) {
        closeIdle()
        dispatch(exchange)
    }

    private func open(for exchange: ClientExchange) {
        guard addresses.isEmpty || Monotonic.milliseconds() >= addressesExpire else {
            ClientConnection(self, addresses, for: exchange).connect()
            return
        }
        resolving.append(exchange)
        if resolving.count == 1 { resolve() }
    }

    /// The addresses that `resolve` asked for.
    func resolved(_ result: Result<[SocketAddress], HTTPClientError>) {
        let exchanges = resolving
        resolving = []
        switch result {
        case .success(let found):
            addresses = found
            addressesExpire = Monotonic.milliseconds() + configuration.nameTimeout.wholeMilliseconds
            for exchange in exchanges {
                if exchange.isOver { freePlace() } else { ClientConnection(self, found, for: exchange).connect() }
            }
        case .failure(let error):
            for exchange in exchanges {
                freePlace()
                exchange.finish(.failure(error))
            }
        }
    }

    /// No address took a connection: a name may point elsewhere by now.
    func connectFailed() {
        if addressesExpire != .max { addressesExpire = 0 }
    }

    /// A connection can take another exchange.
    func released(_ connection: ClientConnection) {
        while !waiting.isEmpty {
            let exchange = waiting.removeFirst()
            if exchange.isOver { continue }
            connection.begin(exchange)
            return
        }
        idle.append(connection)
    }

    /// A connection has ended.
    func closed(_ connection: ClientConnection) {
        idle.removeAll { $0 === connection }
        freePlace()
    }

    private func freePlace() {
        openCount -= 1
        guard !waiting.isEmpty else { return }
        // Not at once: connections that fail at once would nest as deep as there are waiters.
        _ = loop.schedule(after: .zero) { [self] in
            guard openCount < configuration.connectionsPerHostMax, !waiting.isEmpty else { return }
            dispatch(waiting.removeFirst())
        }
    }

    /// Forgets a waiting exchange that has been given up.
    func forget(_ exchange: ClientExchange) {
        waiting.removeAll { $0 === exchange }
    }

    /// Ends what no exchange uses.
    func closeIdle() {
        for connection in idle { connection.close() }
    }
}

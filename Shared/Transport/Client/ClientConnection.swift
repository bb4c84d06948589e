import Glibc
import HTTP
import Net

/// One connection to a server, carrying one exchange at a time; lives on the client's loop.
final class ClientConnection: Channel {
    private enum Phase {
        case connecting
        case idle
        case busy
        case closed
    }

    private let loop: EventLoop
    private let pool: ClientPool
    private var phase = Phase.connecting
    private var descriptor: Int32 = -1
    /// Addresses not tried yet.
    private var addresses: ArraySlice<SocketAddress>
    private var timer: TimerID?
    private var exchange: ClientExchange?
    private var parser: ResponseParser
    private var head: ResponseHead?
    private var body: [UInt8] = []
    private var hasInput = false
    private var hasWriteFailed = false
    private var written = 0
    /// Exchanges completed.
    private var served = 0

    /// Starts to connect for `exchange`.
    init(_ pool: ClientPool, _ addresses: [SocketAddress], for exchange: ClientExchange) {
        self.pool = pool
        loop = pool.loop
        self.addresses = addresses[...]
        self.exchange = exchange
        parser = ResponseParser(limits: pool.configuration.limits)
        exchange.connection = self
    }

    // MARK: - Connecting

    /// Tries the next address.
    func connect(after failure: String = "no address") {
        guard let address = addresses.popFirst() else {
            let exchange = exchange
            close()
            pool.connectFailed()
            exchange?.finish(.failure(.connectFailed(failure)))
            return
        }
        do throws(SystemCallError) {
            descriptor = try Socket.connect(address)
            Socket.setNoDelay(descriptor)
            try loop.register(self, descriptor: descriptor, .write)
        } catch {
            dropDescriptor()
            connect(after: error.description)
            return
        }
        setTimer(pool.configuration.connectTimeout) { connection in
            connection.dropDescriptor()
            connection.connect(after: "connect \(address): no answer in time")
        }
    }

    private func connected() {
        let code = Socket.pendingError(descriptor)
        guard code == 0 else {
            dropDescriptor()
            connect(after: SystemCallError("connect", code: code).description)
            return
        }
        cancelTimer()
        guard let exchange else {
            close()
            return
        }
        begin(exchange)
    }

    // MARK: - Exchanges

    /// Carries `exchange`; the connection is idle or has just been made.
    func begin(_ exchange: ClientExchange) {
        cancelTimer()
        phase = .busy
        self.exchange = exchange
        exchange.connection = self
        head = nil
        body = []
        hasInput = false
        written = 0
        parser.begin(exchange.request.method)
        write()
    }

    func ready(_ readiness: Readiness) {
        switch phase {
        case .connecting: connected()
        case .idle:
            // The server has closed, or says something that nobody asked for.
            close()
        case .busy:
            if readiness.contains(.write) { write() }
            if phase == .busy, !readiness.isDisjoint(with: [.read, .hangUp]) { read() }
        case .closed: break
        }
    }

    private func write() {
        guard let exchange else { return }
        while written < exchange.bytes.count {
            let transfer = exchange.bytes.withUnsafeBytes { bytes in
                Socket.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[written...]))
            }
            switch transfer {
            case .bytes(let count):
                written += count
                exchange.isSent = true
            case .wouldBlock:
                loop.update(descriptor: descriptor, [.read, .write])
                return
            case .end, .failed:
                // The server may have answered before it stopped reading.
                hasWriteFailed = true
                loop.update(descriptor: descriptor, .read)
                read()
                return
            }
        }
        loop.update(descriptor: descriptor, .read)
    }

    private func read() {
        switch Socket.read(descriptor, into: loop.readBuffer) {
        case .bytes(let count):
            hasInput = true
            parser.feed(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count]))
            parse(isAtEnd: false)
        case .end:
            parser.finish()
            parse(isAtEnd: true)
        case .wouldBlock:
            // After a failed write there is nothing to wait for.
            if hasWriteFailed { lose() }
        case .failed: lose()
        }
    }

    private func parse(isAtEnd: Bool) {
        do throws(HTTPParseError) {
            while let event = try parser.next() {
                guard take(event) else { return }
            }
            if isAtEnd { lose() }
        } catch {
            if isAtEnd, !hasInput { lose() } else { fail(.malformedResponse(error)) }
        }
    }

    /// Takes one event; `false` when the exchange is over.
    private func take(_ event: ResponseParser.Event) -> Bool {
        guard let exchange else { return false }
        switch event {
        case .head(let head, let framing):
            self.head = head
            guard head.status.code != 101 else {
                fail(.malformedResponse(.malformedStatusLine))
                return false
            }
            if case .length(let length) = framing, length > exchange.responseBytesMax {
                fail(.responseTooLarge)
                return false
            }
        case .body(let bytes):
            guard body.count + bytes.count <= exchange.responseBytesMax else {
                fail(.responseTooLarge)
                return false
            }
            body += bytes
        case .end:
            complete(exchange)
            return false
        }
        return true
    }

    private func complete(_ exchange: ClientExchange) {
        guard let head else { return }
        let response = ClientResponse(status: head.status, headers: head.headers, body: body)
        let isReusable = head.keepsAlive && written == exchange.bytes.count && parser.bufferedBytes == 0
        self.exchange = nil
        self.head = nil
        body = []
        served += 1
        if isReusable {
            phase = .idle
            setTimer(pool.configuration.idleTimeout) { $0.close() }
            pool.released(self)
        } else {
            close()
        }
        exchange.finish(.success(response))
    }

    // MARK: - Ends

    /// The connection has ended before the response did.
    private func lose() {
        guard let exchange else {
            close()
            return
        }
        // A kept connection that ends without a byte of answer was closed by the server while unused.
        let isStale = served > 0 && !hasInput && !exchange.isRetried
        if isStale, exchange.request.isRepeatable || written == 0 {
            exchange.connection = nil
            exchange.isRetried = true
            close()
            pool.retry(exchange)
        } else {
            fail(.connectionLost(isSent: exchange.isSent))
        }
    }

    private func fail(_ error: HTTPClientError) {
        let exchange = exchange
        close()
        exchange?.finish(.failure(error))
    }

    /// Ends the connection without a word to its exchange; its caller has seen to that.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        exchange = nil
        dropDescriptor()
        pool.closed(self)
    }

    private func dropDescriptor() {
        cancelTimer()
        guard descriptor >= 0 else { return }
        loop.deregister(descriptor: descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func setTimer(_ delay: Duration, _ work: @escaping (ClientConnection) -> Void) {
        cancelTimer()
        timer = loop.schedule(after: delay) { [weak self] in
            guard let self else { return }
            timer = nil
            work(self)
        }
    }

    private func cancelTimer() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }
}

import Core
import HTTP
package import Net
import Synchronization

/// An HTTP/1.1 client for the stack's own servers: connections are kept and shared, everything has a limit.
///
/// It lives on one event loop. `URLSession` costs 28 times a raw socket on Linux, hence our own.
///
/// `@unchecked Sendable`: `pools` and `exchanges` are used on `loop`'s thread only.
package final class HTTPClient: @unchecked Sendable {
    private struct Origin: Hashable {
        let host: String
        let port: UInt16
    }

    /// Where its connections are; a task that prefers it changes no threads to send.
    package let loop: EventLoop
    private let configuration: HTTPClientConfiguration
    private let nextNumber = Atomic<UInt64>(0)
    private var pools: [Origin: ClientPool] = [:]
    private var exchanges: [UInt64: ClientExchange] = [:]
    private var isShutDown = false

    package init(loops: EventLoopGroup, configuration: HTTPClientConfiguration = HTTPClientConfiguration()) {
        loop = loops.next()
        self.configuration = configuration
    }

    /// Sends a request and waits for the whole response, of any status.
    ///
    /// - Parameters:
    ///   - request: What to send where.
    ///   - timeout: For everything: name, connection, waiting for one, request and response.
    ///   - responseBytesMax: The largest body that is taken.
    /// - Returns: The response.
    /// - Throws: `HTTPClientError`; a cancelled task gets `.cancelled`.
    package func send(
        _ request: ClientRequest,
        timeout: Duration,
        responseBytesMax: Int = 1 << 20
    ) async throws(HTTPClientError) -> ClientResponse {
        let bytes: [UInt8]
        do throws(MessageSerializer.Failure) {
            bytes = try request.serialized()
        } catch {
            throw .invalidRequest(error)
        }
        let number = nextNumber.wrappingAdd(1, ordering: .relaxed).oldValue
        // Cancellation may come before the exchange has begun.
        let cancellation = Cancellation()
        let result: Result<ClientResponse, HTTPClientError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                onLoop { client in
                    guard !cancellation.isSet else {
                        continuation.resume(returning: .failure(.cancelled(isSent: false)))
                        return
                    }
                    let exchange = ClientExchange(request, bytes: bytes, responseBytesMax: responseBytesMax) { result in
                        client.ended(number)
                        continuation.resume(returning: result)
                    }
                    client.begin(exchange, number, timeout)
                }
            }
        } onCancel: {
            cancellation.set()
            onLoop { client in
                client.giveUp(number) { .cancelled(isSent: $0) }
            }
        }
        return try result.get()
    }

    /// Fails every exchange and closes every connection; later requests fail.
    package func shutDown() async {
        await withCheckedContinuation { done in
            onLoop { client in
                client.isShutDown = true
                for number in client.exchanges.keys { client.giveUp(number) { _ in .shutDown } }
                for pool in client.pools.values { pool.closeIdle() }
                done.resume()
            }
        }
    }

    private func onLoop(_ work: @escaping @Sendable (HTTPClient) -> Void) {
        if loop.isCurrent { work(self) } else { loop.submit { work(self) } }
    }

    // MARK: - On the loop

    private func begin(_ exchange: ClientExchange, _ number: UInt64, _ timeout: Duration) {
        exchanges[number] = exchange
        guard !isShutDown else {
            exchange.finish(.failure(.shutDown))
            return
        }
        exchange.timer = loop.schedule(after: timeout) { [self] in
            exchange.timer = nil
            giveUp(number) { .timedOut(isSent: $0) }
        }
        pool(Origin(host: exchange.request.host, port: exchange.request.port)).dispatch(exchange)
    }

    private func ended(_ number: UInt64) {
        guard let exchange = exchanges.removeValue(forKey: number), let timer = exchange.timer else { return }
        loop.cancel(timer)
    }

    private func giveUp(_ number: UInt64, _ error: (Bool) -> HTTPClientError) {
        guard let exchange = exchanges[number] else { return }
        // What comes after on that connection would be taken for another answer.
        let connection = exchange.connection
        let isSent = exchange.isSent
        exchange.finish(.failure(error(isSent)))
        connection?.close()
        pools[Origin(host: exchange.request.host, port: exchange.request.port)]?.forget(exchange)
    }

    private func pool(_ origin: Origin) -> ClientPool {
        if let pool = pools[origin] { return pool }
        let pool = ClientPool(
            loop: loop,
            host: origin.host,
            port: origin.port,
            configuration: configuration
        ) { [unowned self] in
            Resolver.resolve(origin.host, port: origin.port) { [self] result in
                let addresses = result.mapError { HTTPClientError.unresolved($0.description) }
                loop.submit { self.pools[origin]?.resolved(addresses) }
            }
        }
        pools[origin] = pool
        return pool
    }
}

/// Whether a request's task has been cancelled.
private final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}

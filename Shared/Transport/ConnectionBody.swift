import Core
import HTTP
import Net

/// A request's body as its connection receives it; usable from any executor.
final class ConnectionBody: BodySource {
    private let connection: LoopBound<HTTPConnection>
    private let exchange: Int

    init(connection: LoopBound<HTTPConnection>, exchange: Int) {
        self.connection = connection
        self.exchange = exchange
    }

    func next() async throws -> [UInt8]? {
        let (connection, exchange) = (connection, exchange)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                if connection.loop.isCurrent {
                    connection.value.requestBody(exchange: exchange, waiter)
                } else {
                    connection.loop.submit { connection.value.requestBody(exchange: exchange, waiter) }
                }
            }
        } onCancel: {
            connection.loop.submit { connection.value.cancelBodyWaiter(exchange: exchange) }
        }
    }
}

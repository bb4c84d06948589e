import HTTP
import Net

/// One request on its way to its response; lives on the client's loop.
final class ClientExchange {
    let request: ClientRequest
    let bytes: [UInt8]
    let responseBytesMax: Int
    /// The connection that carries it now.
    var connection: ClientConnection?
    var timer: TimerID?
    /// Whether it went back to the pool once, from a connection that turned out to be dead.
    var isRetried = false
    /// Whether any of it was written anywhere.
    var isSent = false
    private var completion: ((Result<ClientResponse, HTTPClientError>) -> Void)?

    init(
        _ request: ClientRequest,
        bytes: [UInt8],
        responseBytesMax: Int,
        completion: @escaping (Result<ClientResponse, HTTPClientError>) -> Void
    ) {
        self.request = request
        self.bytes = bytes
        self.responseBytesMax = responseBytesMax
        self.completion = completion
    }

    /// Whether its caller has an answer.
    var isOver: Bool { completion == nil }

    /// Answers the caller; later calls do nothing.
    func finish(_ result: Result<ClientResponse, HTTPClientError>) {
        connection = nil
        guard let completion else { return }
        self.completion = nil
        completion(result)
    }
}

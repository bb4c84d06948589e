package import HTTP

/// Why a request got no response.
package enum HTTPClientError: Error, Sendable, Equatable {
    /// The host's name has no address; what the resolver says.
    case unresolved(String)
    /// No address of the host took the connection; the last attempt's failure.
    case connectFailed(String)
    /// The time given for the whole exchange is over.
    case timedOut(isSent: Bool)
    /// The connection ended before the response did.
    case connectionLost(isSent: Bool)
    /// As many requests to this host wait for a connection as may.
    case tooManyWaiting
    /// The response's body is over the given limit.
    case responseTooLarge
    /// The response breaks HTTP/1.1.
    case malformedResponse(HTTPParseError)
    /// The request cannot be written.
    case invalidRequest(MessageSerializer.Failure)
    /// The caller's task was cancelled.
    case cancelled(isSent: Bool)
    /// The client has been shut down.
    case shutDown

    /// Whether the server may have seen the request, or part of it.
    package var mayHaveBeenSeen: Bool {
        switch self {
        case .unresolved, .connectFailed, .tooManyWaiting, .invalidRequest, .shutDown: false
        case .timedOut(let isSent), .connectionLost(let isSent), .cancelled(let isSent): isSent
        case .responseTooLarge, .malformedResponse: true
        }
    }
}

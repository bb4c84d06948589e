/// Why a command got no answer that is of use.
package enum RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The server's answer is an error. A function may have run in part before it.
    case server(RedisServerError)
    /// There has been no connection for as long as commands wait for one; why the last attempt failed.
    case unavailable(String)
    /// The server does not take us (password, database, library); nothing is sent until that changes.
    case refused(RedisServerError)
    /// The connection ended before the answer; whether the whole command had been given to the system to send.
    case connectionLost(mayHaveRun: Bool)
    /// No answer in time.
    case timedOut(mayHaveRun: Bool)
    /// As many commands, or as many bytes of them, wait for answers as may.
    case tooManyWaiting
    /// The server sent something else than answers.
    case malformedAnswer(RESPError)
    /// The client has been shut down.
    case shutDown(mayHaveRun: Bool)

    /// Whether the command may have had its effect, or have it still: it may be repeated only if that does no harm.
    package var mayHaveRun: Bool {
        switch self {
        case .unavailable, .refused, .tooManyWaiting: false
        case .connectionLost(let mayHaveRun), .timedOut(let mayHaveRun), .shutDown(let mayHaveRun): mayHaveRun
        case .malformedAnswer: true
        case .server(let error): !error.isBeforeRunning
        }
    }

    /// Whether it passes by itself: the server cannot be reached, or is not ready yet.
    package var isPassing: Bool {
        switch self {
        case .unavailable, .connectionLost, .timedOut, .tooManyWaiting: true
        case .server(let error): error.isPassing
        case .refused, .malformedAnswer, .shutDown: false
        }
    }

    package var description: String {
        switch self {
        case .server(let error): error.description
        case .unavailable(let reason): reason
        case .refused(let error): "the server refuses us: \(error)"
        case .connectionLost: "the connection was lost"
        case .timedOut: "no answer in time"
        case .tooManyWaiting: "too many commands wait for answers"
        case .malformedAnswer(let error): "malformed answer: \(error)"
        case .shutDown: "the client is shut down"
        }
    }
}

/// Answers a request: at once, or with work that goes on in a task.
///
/// The chain before a router is made of these, so that a request whose answer is at hand passes the same log, the same
/// guards and the same router as any other, and costs no task.
package typealias Responder = @Sendable (Request) -> Reply

/// What a `Responder` makes of a request.
package enum Reply: Sendable {
    /// The answer, or the error in its place, without waiting for anything.
    case now(Result<Response, any Error>)
    /// Makes the answer in the request's task.
    case later(@Sendable () async throws -> Response)

    /// The answer of a handler that may wait.
    package init(_ request: Request, _ handler: @escaping Handler) {
        self = .later { try await handler(request) }
    }

    /// The same with `finish` applied to its outcome, whenever that is there.
    package func map(_ finish: @escaping @Sendable (Result<Response, any Error>) throws -> Response) -> Reply {
        switch self {
        case .now(let outcome): .now(Result { try finish(outcome) })
        case .later(let work):
            .later {
                let outcome: Result<Response, any Error>
                do { outcome = .success(try await work()) } catch { outcome = .failure(error) }
                return try finish(outcome)
            }
        }
    }

    /// The answer, waited for if need be.
    package func response() async throws -> Response {
        switch self {
        case .now(let outcome): try outcome.get()
        case .later(let work): try await work()
        }
    }
}

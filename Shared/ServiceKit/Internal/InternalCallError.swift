package import Core

/// Why another service gave no usable answer.
package enum InternalCallError: ProblemConvertible, Sendable, Equatable {
    /// It did not answer: unreachable, too slow, or its circuit is open.
    case unavailable(service: String, reason: String)
    /// It answered with an error, which the caller may know what to do with.
    case refused(service: String, RemoteProblem)
    /// Its answer is not what the contract says; where the answer departs from it.
    case unreadable(service: String, reason: String)
    /// The caller's task was cancelled.
    case cancelled

    /// An error document of another service.
    package struct RemoteProblem: Sendable, Equatable {
        /// The HTTP status.
        package var status: Int
        /// The stable machine word; empty when the answer was no problem document.
        package var code: String
        package var detail: String

        package init(status: Int, code: String, detail: String) {
            self.status = status
            self.code = code
            self.detail = detail
        }
    }

    /// The remote error's status; `nil` when there was no answer.
    package var refusedStatus: Int? {
        if case .refused(_, let problem) = self { problem.status } else { nil }
    }

    /// What a client gets when the caller does not know better: 503 naming the service; a refusal that nobody expected
    /// is our own mistake, 500.
    package var problem: Problem {
        switch self {
        case .unavailable(let service, _): .unavailable("\(service) does not answer")
        case .refused(let service, let remote) where remote.status >= 500 || remote.status == 429:
            .unavailable("\(service) is not available")
        case .refused, .unreadable: Problem(500, .internalError, "the request could not be completed")
        case .cancelled: .unavailable("the request was given up")
        }
    }
}

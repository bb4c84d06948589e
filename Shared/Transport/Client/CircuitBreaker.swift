/// Fails calls fast while what they call does not answer: a pure state machine, the time a parameter.
///
/// Closed: calls go through, failures in a row are counted. Open: calls are refused until a pause is over. Half open:
/// one call goes through as a probe; its success closes the circuit, its failure opens it for twice as long.
package struct CircuitBreaker: Sendable, Equatable {
    /// When it opens and for how long.
    package struct Configuration: Sendable, Equatable {
        /// Failures in a row that open it; at least 1.
        package var failuresMax = 5
        /// The first pause, in milliseconds.
        package var pauseMilliseconds: Int64 = 250
        /// The longest pause, in milliseconds: a service that is back is found this soon.
        package var pauseMillisecondsMax: Int64 = 2000

        package init() {}
    }

    /// Where it stands.
    package enum State: Sendable, Equatable {
        case closed(failures: Int)
        /// Refuses until then, in milliseconds of the caller's clock.
        case open(until: Int64)
        /// One probe is on its way.
        case halfOpen
    }

    package private(set) var state = State.closed(failures: 0)
    private let configuration: Configuration
    private var pause: Int64

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        pause = configuration.pauseMilliseconds
    }

    /// Whether a call may be made now; its outcome must then be reported by one of the calls below.
    package mutating func admits(now: Int64) -> Bool {
        switch state {
        case .closed: return true
        case .halfOpen: return false
        case .open(let until):
            guard now >= until else { return false }
            state = .halfOpen
            return true
        }
    }

    /// The call was answered, whatever the answer.
    package mutating func succeeded() {
        state = .closed(failures: 0)
        pause = configuration.pauseMilliseconds
    }

    /// The call was not answered.
    package mutating func failed(now: Int64) {
        switch state {
        case .closed(let failures) where failures + 1 < configuration.failuresMax:
            state = .closed(failures: failures + 1)
        case .closed:
            state = .open(until: now + pause)
        case .halfOpen:
            pause = min(pause * 2, configuration.pauseMillisecondsMax)
            state = .open(until: now + pause)
        case .open:
            // A call from before it opened.
            break
        }
    }

    /// The call was given up by its caller: it says nothing, but a probe's place becomes free.
    package mutating func abandoned(now: Int64) {
        if case .halfOpen = state { state = .open(until: now) }
    }
}

import Testing
import Transport

@Suite("Circuit breaker")
struct CircuitBreakerTests {
    private static let configuration: CircuitBreaker.Configuration = {
        var configuration = CircuitBreaker.Configuration()
        configuration.failuresMax = 3
        configuration.pauseMilliseconds = 100
        configuration.pauseMillisecondsMax = 300
        return configuration
    }()

    private func opened(at now: Int64 = 0) -> CircuitBreaker {
        var breaker = CircuitBreaker(Self.configuration)
        for _ in 0..<3 { breaker.failed(now: now) }
        return breaker
    }

    private func check(
        _ breaker: inout CircuitBreaker,
        admits expected: Bool,
        at now: Int64,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let admits = breaker.admits(now: now)
        #expect(admits == expected, sourceLocation: location)
    }

    @Test("opens at the limit of failures in a row, not one before")
    func opens() {
        var breaker = CircuitBreaker(Self.configuration)
        breaker.failed(now: 0)
        breaker.failed(now: 0)
        check(&breaker, admits: true, at: 0)
        breaker.failed(now: 0)
        #expect(breaker.state == .open(until: 100))
        check(&breaker, admits: false, at: 99)
    }

    @Test("an answer in between starts the count anew")
    func countsInARow() {
        var breaker = CircuitBreaker(Self.configuration)
        breaker.failed(now: 0)
        breaker.failed(now: 0)
        breaker.succeeded()
        breaker.failed(now: 0)
        breaker.failed(now: 0)
        #expect(breaker.state == .closed(failures: 2))
    }

    @Test("after the pause one probe goes through; its answer closes the circuit")
    func probe() {
        var breaker = opened()
        check(&breaker, admits: true, at: 100)
        check(&breaker, admits: false, at: 100)
        breaker.succeeded()
        #expect(breaker.state == .closed(failures: 0))
        check(&breaker, admits: true, at: 100)
    }

    @Test("failed probes double the pause up to its limit; an answer resets it")
    func doubles() {
        var breaker = opened()
        check(&breaker, admits: true, at: 100)
        breaker.failed(now: 100)
        #expect(breaker.state == .open(until: 300))
        check(&breaker, admits: true, at: 300)
        breaker.failed(now: 300)
        #expect(breaker.state == .open(until: 600))
        check(&breaker, admits: true, at: 600)
        breaker.failed(now: 600)
        #expect(breaker.state == .open(until: 900))
        check(&breaker, admits: true, at: 900)
        breaker.succeeded()
        for _ in 0..<3 { breaker.failed(now: 1000) }
        #expect(breaker.state == .open(until: 1100))
    }

    @Test("a probe that is given up frees its place")
    func abandoned() {
        var breaker = opened()
        check(&breaker, admits: true, at: 100)
        breaker.abandoned(now: 110)
        check(&breaker, admits: true, at: 110)
    }

    @Test("late failures of calls from before it opened change nothing")
    func late() {
        var breaker = opened()
        breaker.failed(now: 50)
        #expect(breaker.state == .open(until: 100))
    }
}

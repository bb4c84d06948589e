import Core
import HTTP
import Net

extension HTTPConnection {
    /// A wait that has a limit.
    enum Timeout {
        case head
        case bodyPiece
        case nextRequest
        case writeStall
        case linger
    }

    /// What the connection waits for now, and how long it may; `nil` while only the handler is waited for.
    private var currentTimeout: (kind: Timeout, limit: Duration)? {
        switch phase {
        case .closed: nil
        case .lingering: (.linger, configuration.lingerTimeout)
        case .discarding: (.bodyPiece, configuration.bodyIdleTimeout)
        case .head: (.head, configuration.headerTimeout)
        case .idle:
            exchange == 0 ? (.head, configuration.headerTimeout) : (.nextRequest, configuration.keepAliveTimeout)
        case .handling, .responding:
            if isOutputBlocked {
                (.writeStall, configuration.writeStallTimeout)
            } else if bodyWaiter != nil {
                (.bodyPiece, configuration.bodyIdleTimeout)
            } else {
                nil
            }
        }
    }

    private var deadline: Int64? {
        currentTimeout.map { waitStart + $0.limit.wholeMilliseconds }
    }

    /// Makes sure that a timer fires no later than the present wait's limit.
    ///
    /// A timer that fires too early only looks again: a busy connection changes its timer once in many requests.
    func updateTimer() {
        guard let deadline, deadline < timerDeadline else { return }
        if let timer { loop.cancel(timer) }
        timerDeadline = deadline
        timer = loop.schedule(after: .milliseconds(max(deadline - Monotonic.milliseconds(), 0))) { [weak self] in
            self?.timerFired()
        }
    }

    private func timerFired() {
        timer = nil
        timerDeadline = .max
        guard let deadline, let kind = currentTimeout?.kind else { return }
        guard deadline <= Monotonic.milliseconds() else {
            updateTimer()
            return
        }
        switch kind {
        case .head:
            if phase == .head { refuse(Problem(408, .requestTimeout, "header section: too slow")) } else { close() }
        case .bodyPiece:
            if phase == .discarding {
                linger()
            } else {
                failBody(Problem(408, .requestTimeout, "body: too slow"))
                update()
            }
        case .nextRequest, .writeStall, .linger: close()
        }
    }
}

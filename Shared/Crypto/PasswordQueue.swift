internal import Dispatch
internal import Synchronization

/// The requests in hand, shared by the threads and the pool.
final class PasswordQueue: Sendable {
    enum Job: Sendable {
        case hash(String, cost: Int, CheckedContinuation<Result<String, PasswordHasherError>, Never>)
        /// Hashes at the costs `also` as well, for nothing but the time that it takes.
        case verify(
            String,
            stored: String,
            also: Range<Int>,
            CheckedContinuation<Result<Bool, PasswordHasherError>, Never>
        )

        func refuse(_ error: PasswordHasherError) {
            switch self {
            case .hash(_, _, let continuation): continuation.resume(returning: .failure(error))
            case .verify(_, _, _, let continuation): continuation.resume(returning: .failure(error))
            }
        }
    }

    private struct State {
        var waiting: [Job] = []
        var running = 0
        var isStopped = false
    }

    private let requestsMax: Int
    private let state = Mutex(State())
    /// Counts waiting jobs; a thread that finds none stops, which only a stopped queue leads to.
    private let available = DispatchSemaphore(value: 0)

    init(requestsMax: Int) { self.requestsMax = requestsMax }

    var requestCount: Int { state.withLock { $0.waiting.count + $0.running } }

    func add(_ job: Job) {
        let refusal: PasswordHasherError? = state.withLock { state in
            if state.isStopped { return .stopped }
            guard state.waiting.count + state.running < requestsMax else { return .busy }
            state.waiting.append(job)
            return nil
        }
        if let refusal { job.refuse(refusal) } else { available.signal() }
    }

    func stop() {
        let refused = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in refused { job.refuse(.stopped) }
        // One for each thread there can be; the others are never waited for.
        available.signal()
        available.signal()
    }

    /// A thread's life.
    func run() {
        let password = PasswordHash()
        while true {
            available.wait()
            let job: Job? = state.withLock { state in
                guard !state.waiting.isEmpty else { return nil }
                state.running += 1
                return state.waiting.removeFirst()
            }
            guard let job else { return }
            perform(job, password)
        }
    }

    private func perform(_ job: Job, _ password: borrowing PasswordHash) {
        switch job {
        case .hash(let text, let cost, let continuation):
            let result: Result<String, PasswordHasherError>
            do { result = .success(try password.hash(text, cost: cost)) } catch { result = .failure(.password(error)) }
            state.withLock { $0.running -= 1 }
            continuation.resume(returning: result)
        case .verify(let text, let stored, let costs, let continuation):
            let result: Result<Bool, PasswordHasherError>
            do {
                let matches = try password.verify(text, stored: stored)
                for cost in costs { _ = try password.hash("", cost: cost) }
                result = .success(matches)
            } catch {
                result = .failure(.password(error))
            }
            state.withLock { $0.running -= 1 }
            continuation.resume(returning: result)
        }
    }
}

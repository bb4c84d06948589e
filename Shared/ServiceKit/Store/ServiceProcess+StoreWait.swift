import Core
import HTTP
import Transport

extension ServiceProcess {
    /// Takes a step of the start that needs the store, again and again while Redis cannot be reached or is not ready
    /// yet.
    ///
    /// From the first failure until it succeeds, `/healthz` says there that the process lives, `/readyz` that the store
    /// is not reachable, and all else is answered 503. The stop ends the wait at once.
    ///
    /// - Parameters:
    ///   - address: Where the service will listen.
    ///   - step: May be taken again after a failure.
    /// - Throws: What `step` throws, if it does not pass by itself; `StopRequest.Requested`; `SystemCallError` when the
    ///   address cannot be had.
    package func whenStoreAnswers<Value: Sendable>(
        listeningAt address: Setting<HostPort>,
        _ step: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await stop.unlessRequested { [self] in
            var wait = StoreWait()
            var server: HTTPServer?
            do {
                while true {
                    do {
                        let value = try await step()
                        if let begunAt = wait.begunAt {
                            await server?.drain(grace: .zero)
                            log.info("store_reached", ["waited_ms": .int(Int(Monotonic.milliseconds() - begunAt))])
                        }
                        return value
                    } catch {
                        guard StoreWait.isWorthwhile(after: error) else { throw error }
                        let (pause, isReported) = wait.failed(now: Monotonic.milliseconds())
                        if isReported { log.warning("store_awaited", ["reason": .string("\(error)")]) }
                        if server == nil { server = try startWaitingServer(at: address) }
                        try await Task.sleep(for: pause)
                    }
                }
            } catch {
                await server?.drain(grace: .zero)
                throw error
            }
        }
    }

    /// What answers in the place of a service that cannot start yet.
    private func startWaitingServer(at address: Setting<HostPort>) throws -> HTTPServer {
        struct Away: Error {}
        var router = Router()
        router.fallback = { _ in throw Problem.unavailable("the service starts when its store answers") }
        return try startServer(at: address, router, checks: [HealthCheck("store") { throw Away() }]).server
    }
}

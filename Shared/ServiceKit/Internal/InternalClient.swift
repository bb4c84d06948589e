package import Core
package import HTTP
package import Net
import Synchronization
package import Transport

/// Asks one other service of the stack under `/internal/`: token, request id, JSON, time-out, few repeats with
/// jitter, and a circuit that fails fast.
package final class InternalClient: Sendable {
    /// The service's name, in errors and metrics.
    package let service: String
    private let url: BaseURL
    private let token: String
    private let http: HTTPClient
    private let log: Log
    private let circuit = Mutex(CircuitBreaker())
    /// Whether the last call went unanswered; only changes of it are logged above debug.
    private let isAway = Atomic(false)
    private let failures: Counter
    private let durations: Histogram

    /// The first pause before a repeat, in milliseconds; each further one is twice as long, and a random part of it.
    private static let pauseMilliseconds = 50

    /// - Parameters:
    ///   - service: The service's name.
    ///   - url: Where it is reached.
    ///   - token: The internal token.
    ///   - http: The client whose connections are used.
    ///   - log: Told when the service stops answering, and when it answers again.
    ///   - metrics: Calls are counted and timed here.
    package init(_ service: String, url: BaseURL, token: String, http: HTTPClient, log: Log, metrics: Metrics) {
        self.service = service
        self.url = url
        self.token = token
        self.http = http
        self.log = log
        failures = metrics.counter(
            "internal_call_failures_total",
            help: "Calls to another service without an answer.",
            ["service": service]
        )
        durations = metrics.histogram(
            "internal_call_duration_seconds",
            help: "Calls to another service, repeats included, in seconds.",
            ["service": service]
        )
    }

    /// Asks with a JSON body.
    ///
    /// - Parameters:
    ///   - method: The request's method.
    ///   - target: Path and query, percent-encoded.
    ///   - body: Sent as JSON.
    ///   - type: What a 2xx answer is.
    ///   - requestID: The id of the request on whose behalf this is.
    ///   - options: Time-out, repeats, limits.
    /// - Returns: The answer.
    /// - Throws: `InternalCallError`.
    package func call<Answer: Decodable & Sendable>(
        _ method: Method,
        _ target: String,
        _ body: some Encodable & Sendable,
        as type: Answer.Type = Answer.self,
        requestID: String? = nil,
        options: InternalCallOptions = .standard
    ) async throws(InternalCallError) -> Answer {
        let bytes: [UInt8]
        do {
            bytes = try JSONBody.encode(body)
        } catch {
            throw .unreadable(service: service, reason: "the request has no JSON form")
        }
        return try await call(method, target, json: bytes, as: type, requestID: requestID, options: options)
    }

    /// Asks with a body that is JSON already; else as `call` with a value.
    package func call<Answer: Decodable & Sendable>(
        _ method: Method,
        _ target: String,
        json: [UInt8],
        as type: Answer.Type = Answer.self,
        requestID: String? = nil,
        options: InternalCallOptions = .standard
    ) async throws(InternalCallError) -> Answer {
        let response = try await send(method, target, json, requestID, options)
        return try read(type, response)
    }

    /// Asks without a body.
    ///
    /// - Parameters:
    ///   - method: The request's method.
    ///   - target: Path and query, percent-encoded.
    ///   - type: What a 2xx answer is.
    ///   - requestID: The id of the request on whose behalf this is.
    ///   - options: Time-out, repeats, limits.
    /// - Returns: The answer.
    /// - Throws: `InternalCallError`.
    package func call<Answer: Decodable & Sendable>(
        _ method: Method,
        _ target: String,
        as type: Answer.Type = Answer.self,
        requestID: String? = nil,
        options: InternalCallOptions = .standard
    ) async throws(InternalCallError) -> Answer {
        let response = try await send(method, target, nil, requestID, options)
        return try read(type, response)
    }

    /// Where its connections are; a task that prefers it changes no threads to call.
    package var loop: EventLoop { http.loop }

    /// Whether the service is alive, for `/readyz`.
    package var healthCheck: HealthCheck {
        HealthCheck(service) { [self] in
            var options = InternalCallOptions.standard
            options.usesCircuit = false
            options.attemptsMax = 1
            _ = try await call(.get, "/healthz", as: NoAnswer.self, options: options)
        }
    }

    /// An answer that is not looked at.
    package struct NoAnswer: Decodable, Sendable {
        package init() {}
    }

    // MARK: - Sending

    private func send(
        _ method: Method,
        _ target: String,
        _ body: [UInt8]?,
        _ requestID: String?,
        _ options: InternalCallOptions
    ) async throws(InternalCallError) -> ClientResponse {
        let start = ContinuousClock.now
        defer { durations.observe(ContinuousClock.now - start) }
        let request = request(method, target, body, requestID, options)
        var pause = Self.pauseMilliseconds
        for attempt in 1... {
            let isLast = attempt >= options.attemptsMax
            let remaining = options.timeout - (ContinuousClock.now - start)
            guard remaining > .zero else { throw .unavailable(service: service, reason: "no answer in time") }
            try admit(options)
            do throws(HTTPClientError) {
                let response = try await http.send(
                    request,
                    timeout: remaining,
                    responseBytesMax: options.responseBytesMax
                )
                succeeded()
                guard Self.isPassing(response.status), options.isRepeatable, !isLast else { return response }
            } catch {
                try failed(error, options, isLast: isLast)
            }
            let delay = Duration.milliseconds(Int.random(in: pause / 2...pause))
            pause *= 2
            guard ContinuousClock.now - start + delay < options.timeout else {
                throw .unavailable(service: service, reason: "no answer in time")
            }
            do { try await Task.sleep(for: delay) } catch { throw .cancelled }
        }
        throw .unavailable(service: service, reason: "no answer")
    }

    private func admit(_ options: InternalCallOptions) throws(InternalCallError) {
        guard options.usesCircuit else { return }
        let admits = circuit.withLock { $0.admits(now: Monotonic.milliseconds()) }
        guard admits else { throw .unavailable(service: service, reason: "not answering lately") }
    }

    private func succeeded() {
        circuit.withLock { $0.succeeded() }
        guard isAway.load(ordering: .relaxed), isAway.exchange(false, ordering: .relaxed) else { return }
        log.info("internal_call_recovered", ["service": .string(service)])
    }

    /// Notes a failure; throws unless the call may be tried again.
    private func failed(
        _ error: HTTPClientError,
        _ options: InternalCallOptions,
        isLast: Bool
    ) throws(InternalCallError) {
        let now = Monotonic.milliseconds()
        if case .cancelled = error {
            if options.usesCircuit { circuit.withLock { $0.abandoned(now: now) } }
            throw .cancelled
        }
        if options.usesCircuit { circuit.withLock { $0.failed(now: now) } }
        failures.increment()
        let reason = String(describing: error)
        if isAway.exchange(true, ordering: .relaxed) {
            log.debug("internal_call_failed", ["service": .string(service), "reason": .string(reason)])
        } else {
            log.warning("internal_call_failed", ["service": .string(service), "reason": .string(reason)])
        }
        guard !isLast, options.isRepeatable || !error.mayHaveBeenSeen else {
            throw .unavailable(service: service, reason: reason)
        }
    }

    private func request(
        _ method: Method,
        _ target: String,
        _ body: [UInt8]?,
        _ requestID: String?,
        _ options: InternalCallOptions
    ) -> ClientRequest {
        var headers: Headers = ["Accept": "application/json"]
        headers[InternalGuard.headerName] = token
        headers["X-Request-Id"] = requestID
        if body != nil { headers["Content-Type"] = "application/json" }
        return ClientRequest(
            method,
            host: url.address.host,
            port: UInt16(url.address.port),
            target: target,
            headers: headers,
            body: body ?? [],
            isRepeatable: options.isRepeatable
        )
    }

    /// Whether a service that answers so may well answer otherwise in a moment.
    private static func isPassing(_ status: Status) -> Bool { [429, 502, 503, 504].contains(status.code) }

    // MARK: - Answers

    private func read<Answer: Decodable & Sendable>(
        _ type: Answer.Type,
        _ response: ClientResponse
    ) throws(InternalCallError) -> Answer {
        guard (200..<300).contains(response.status.code) else {
            let document = try? JSONBody.decode(ProblemDocument.self, from: response.body)
            throw .refused(
                service: service,
                .init(
                    status: response.status.code,
                    code: document?.code ?? "",
                    detail: document?.detail ?? ""
                )
            )
        }
        if let none = NoAnswer() as? Answer { return none }
        do {
            return try JSONBody.decode(type, from: response.body.isEmpty ? Array("{}".utf8) : response.body)
        } catch {
            let reason = (error as? Problem)?.detail ?? "not readable"
            log.error("internal_answer_unreadable", ["service": .string(service), "reason": .string(reason)])
            throw .unreadable(service: service, reason: reason)
        }
    }

    private struct ProblemDocument: Decodable {
        var code: String?
        var detail: String?
    }
}

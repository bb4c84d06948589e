package import Core
package import HTTP

/// Logs and counts every request that passes.
///
/// One `request` line each: `debug` below 400, `info` for 4xx, `warning` for 5xx and for what takes a second or more.
/// It has the path and never the query, which may hold a session id. What a handler throws past the router becomes a
/// 500 without its text, which goes into the log.
package struct RequestLog: Sendable {
    private let log: Log
    private let requests: CounterFamily
    private let durations: Histogram
    private let inFlight: Gauge
    /// From here on a request is worth a warning.
    private static let slow = Duration.seconds(1)

    package init(log: Log, metrics: Metrics) {
        self.log = log
        requests = metrics.counters(
            "http_requests_total",
            help: "Requests answered, by method and status.",
            labels: ["method", "status"]
        )
        durations = metrics.histogram(
            "http_request_duration_seconds",
            help: "From a request's head to its response's head, in seconds."
        )
        inFlight = metrics.gauge("http_requests_in_flight", help: "Requests being handled.")
    }

    /// `next`, observed.
    package func wrap(_ next: @escaping Responder) -> Responder {
        { request in
            inFlight.add(1)
            let start = ContinuousClock.now
            return next(request).map { outcome in
                defer { inFlight.add(-1) }
                let response: Response
                do {
                    response = try outcome.get()
                } catch let error as any ProblemConvertible {
                    response = Response(error.problem)
                } catch {
                    log.error(
                        "request_failed",
                        ["request_id": .string(request.id), "error": .string(String(reflecting: error))]
                    )
                    response = Response(Problem(500, .internalError, "the request could not be completed"))
                }
                record(request, response.status, ContinuousClock.now - start)
                return response
            }
        }
    }

    private func record(_ request: Request, _ status: Status, _ duration: Duration) {
        requests.with(Self.knownMethod(request.method), String(status.code)).increment()
        durations.observe(duration)
        // A long poll says how long it meant to wait, so it is not slow.
        let isSlow = duration >= Self.slow && request.query["wait"] == nil && status.code != 101
        let level: LogLevel = status.code >= 500 || isSlow ? .warning : status.code >= 400 ? .info : .debug
        // Most requests are not logged, and what a line would say of them is not made.
        guard level >= log.level else { return }
        let fields: KeyValuePairs<StaticString, Log.Value> = [
            "request_id": .string(request.id),
            "method": .string(Self.knownMethod(request.method)),
            "path": .string(String(request.path.prefix(256))),
            "status": .int(status.code),
            "duration_ms": .double((duration / .milliseconds(1) * 1000).rounded() / 1000),
            "remote_address": .string(request.remoteAddress),
        ]
        switch level {
        case .warning, .error: log.warning("request", fields)
        case .info: log.info("request", fields)
        case .debug: log.debug("request", fields)
        }
    }

    /// The method's name if it is a usual one: clients must not be able to make up label values.
    private static func knownMethod(_ method: HTTP.Method) -> String {
        knownMethods.contains(method) ? method.rawValue : "other"
    }

    private static let knownMethods: Set<HTTP.Method> = [.get, .head, .post, .put, .patch, .delete, .options]
}

import Core
import HTTP
import ServiceKit
import Synchronization
import Testing

@Suite("Metrics")
struct MetricsTests {
    @Test("text format 0.0.4: help, type, labels escaped, histograms cumulative")
    func text() {
        let metrics = Metrics(includesProcess: false)
        metrics.counter("a_total", help: "Line\none.", ["k": "q\"\\\n"]).increment(by: 2)
        metrics.gauge("b", help: "B.").set(-3)
        let histogram = metrics.histogram("c_seconds", help: "C.", bounds: [0.1, 1], ["x": "y"])
        histogram.observe(0.1)
        histogram.observe(Duration.milliseconds(500))
        histogram.observe(7)
        metrics.read("d", help: "D.") { 1.5 }
        #expect(
            metrics.text == #"""
                # HELP a_total Line\none.
                # TYPE a_total counter
                a_total{k="q\"\\\n"} 2
                # HELP b B.
                # TYPE b gauge
                b -3
                # HELP c_seconds C.
                # TYPE c_seconds histogram
                c_seconds_bucket{x="y",le="0.1"} 1
                c_seconds_bucket{x="y",le="1"} 2
                c_seconds_bucket{x="y",le="+Inf"} 3
                c_seconds_sum{x="y"} 7.6
                c_seconds_count{x="y"} 3
                # HELP d D.
                # TYPE d gauge
                d 1.5

                """#
        )
    }

    @Test("the same name and labels are the same metric")
    func same() {
        let metrics = Metrics(includesProcess: false)
        metrics.counter("a_total", help: "A.").increment()
        metrics.counter("a_total", help: "A.").increment()
        #expect(metrics.counter("a_total", help: "A.").value == 2)
    }

    @Test("past its limit a family counts the rest under other")
    func bounded() {
        let metrics = Metrics(includesProcess: false)
        let family = metrics.counters("a_total", help: "A.", labels: ["k"])
        for number in 0..<CounterFamily.seriesMax + 50 { family.with(String(number)).increment() }
        #expect(family.with("other").value == 50)
        #expect(metrics.text.split(separator: "\n").count == 2 + CounterFamily.seriesMax + 1)
    }

    @Test("the process reports on itself")
    func process() {
        let text = Metrics().text
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            let value = line.flatMap { Double($0.split(separator: " ")[1]) } ?? 0
            #expect(value > 0, "\(name)")
        }
    }
}

@Suite("Health routes and request log")
struct HealthTests {
    private struct Down: Error {}

    private func answer(_ target: String, _ group: HealthRoutes) async -> Response {
        var router = Router()
        router.mount(group)
        return await router.respond(to: Fixtures.request(.get, target))
    }

    @Test("ready when every dependency answers, else 503 naming what is down")
    func ready() async {
        let good = HealthCheck("store") {}
        let bad = HealthCheck("auth") { throw Down() }
        let alive = HealthRoutes(metrics: Metrics(), checks: [good])
        #expect(await answer("/healthz", alive).status == 200)
        #expect(await answer("/readyz", alive).status == 200)
        let response = await answer("/readyz", HealthRoutes(metrics: Metrics(), checks: [good, bad]))
        #expect(response.status == 503)
        #expect(Fixtures.text(response).contains("not reachable: auth"))
    }

    @Test("a dependency that hangs counts as down after its time-out, and is not asked again meanwhile")
    func hangs() async {
        let calls = Mutex<[CheckedContinuation<Void, Never>]>([])
        let check = HealthCheck("slow") {
            await withCheckedContinuation { waiter in calls.withLock { $0.append(waiter) } }
        }
        let routes = HealthRoutes(metrics: Metrics(), checks: [check], checkLimit: .milliseconds(20))
        #expect(await answer("/readyz", routes).status == 503)
        #expect(await answer("/readyz", routes).status == 503)
        let waiters = calls.withLock { $0 }
        #expect(waiters.count == 1)
        for waiter in waiters { waiter.resume() }
    }

    @Test("not ready while draining")
    func draining() async {
        let response = await answer("/readyz", HealthRoutes(metrics: Metrics(), isDraining: { true }))
        #expect(response.status == 503)
        #expect(Fixtures.text(response).contains(#""code":"draining""#))
    }

    @Test("metrics are served as Prometheus text")
    func metrics() async {
        let metrics = Metrics(includesProcess: false)
        metrics.counter("a_total", help: "A.").increment()
        let response = await answer("/metrics", HealthRoutes(metrics: metrics))
        #expect(response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(Fixtures.text(response).hasSuffix("a_total 1\n"))
    }

    @Test("requests are counted by method and status; what escapes a handler is a 500 without its text")
    func requestLog() async throws {
        let metrics = Metrics(includesProcess: false)
        let log = Log(service: "test", level: .error, descriptor: -1)
        let responder = RequestLog(log: log, metrics: metrics).wrap { request in
            switch request.path {
            case "/down": .now(.failure(Down()))
            case "/later/down": .later { throw Down() }
            default: .later { Response(.noContent) }
            }
        }
        func answer(_ request: Request) async throws -> Response { try await responder(request).response() }
        #expect(try await answer(Fixtures.request(.get, "/a?session_id=secret")).status == 204)
        #expect(try await answer(Fixtures.request(HTTP.Method(rawValue: "BREW"), "/a")).status == 204)
        for path in ["/down", "/later/down"] {
            let failed = try await answer(Fixtures.request(.post, path))
            #expect(failed.status == 500)
            #expect(!Fixtures.text(failed).contains("Down"))
        }
        let text = metrics.text
        #expect(text.contains(#"http_requests_total{method="GET",status="204"} 1"#))
        #expect(text.contains(#"http_requests_total{method="other",status="204"} 1"#))
        #expect(text.contains(#"http_requests_total{method="POST",status="500"} 2"#))
        #expect(text.contains("http_requests_in_flight 0"))
    }
}

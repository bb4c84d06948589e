import Core
import HTTP
import ServiceKit
import Synchronization
import Testing

/// Requests and answers without sockets.
enum Fixtures {
    static func request(
        _ method: HTTP.Method = .get,
        _ target: String = "/",
        _ headers: Headers = [:],
        body: String = "",
        isSecure: Bool = false
    ) -> Request {
        Request(
            head: RequestHead(method: method, target: target, headers: headers),
            body: RequestBody(Array(body.utf8)),
            isSecure: isSecure,
            id: "r1"
        )
    }

    static func text(_ response: Response) -> String {
        guard case .bytes(let bytes) = response.body else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }
}

@Suite("JSON bodies")
struct JSONBodyTests {
    struct Login: Codable, Sendable, Equatable {
        struct Device: Codable, Sendable, Equatable { var name: String }
        var username: String
        var attempts: Int
        var kind: UserType?
        var devices: [Device]?
        var tags: [String: String]?
        var at: Timestamp?
    }

    private func problem(_ body: String, contentType: String? = "application/json", upTo: Int = 1000) async -> Problem?
    {
        var request = Fixtures.request(.post, body: body)
        request.head.headers["Content-Type"] = contentType
        do {
            _ = try await request.json(Login.self, upTo: upTo)
            return nil
        } catch {
            return (error as? any ProblemConvertible)?.problem
        }
    }

    @Test("a body of the right shape is read, unknown members and all")
    func reads() async throws {
        let request = Fixtures.request(
            .post,
            "/",
            ["Content-Type": "Application/JSON ; charset=utf-8"],
            body: #"{"username":"a","attempts":3,"kind":"Kefu","more":[1]}"#
        )
        let login = try await request.json(Login.self)
        #expect(login == Login(username: "a", attempts: 3, kind: .agent))
    }

    @Test(
        "the offending member and its rule are named",
        arguments: [
            (#"{"attempts":1}"#, "username: is required"),
            (#"{"username":7,"attempts":1}"#, "username: must be a string"),
            (#"{"username":"a","attempts":"x"}"#, "attempts: must be a whole number"),
            (#"{"username":"a","attempts":1.5}"#, "body: is not one of the possible values"),
            (#"{"username":null,"attempts":1}"#, "username: must not be null"),
            (#"{"username":"a","attempts":1,"kind":"Boss"}"#, "kind: is not one of the possible values"),
            (#"{"username":"a","attempts":1,"devices":[{"name":"x"},{}]}"#, "devices[1].name: is required"),
            (#"{"username":"a","attempts":1,"devices":{}}"#, "devices: must be a list"),
            (#"{"username":"a","attempts":1,"tags":[]}"#, "tags: must be an object"),
            (#"{"username":"a","attempts":1,"at":"x"}"#, "at: must be an RFC 3339 date-time"),
            ("[]", "body: must be an object"), ("7", "body: must be an object"), ("null", "body: must not be null"),
        ]
    )
    func invalidField(body: String, detail: String) async {
        let problem = await problem(body)
        #expect(problem?.status == 422 && problem?.code == .invalidField)
        #expect(problem?.detail == detail)
        #expect(problem?.errors.map { "\($0.field): \($0.rule)" } == [detail])
    }

    @Test(
        "what is no JSON is malformed",
        arguments: [
            "", "{", "{]", "\u{feff}{}", "{'a':1}", #"{"username":"a",}"#, "[1 2]", "01", "-", "1.", "1e", "+1", "nul",
            "truex", "\"\n\"", #""\x""#, #""\u12g4""#, "\"", "{}{}", "[,]", #"{"a"}"#, #"{"a":}"#, "NaN",
            String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
        ]
    )
    func malformed(body: String) async {
        let problem = await problem(body)
        #expect(problem?.status == 400)
        #expect(problem?.code == .malformedJSON)
    }

    @Test("a malformed body's detail says where")
    func position() async {
        #expect(await problem(#"{"a":1,}"#)?.detail == "body: no JSON at byte 7")
        #expect(await problem(#"{"a":1"#)?.detail == "body: the JSON text ends too early")
    }

    @Test(
        "all of RFC 8259 is taken",
        arguments: [
            " [ ] ", "\t{ }\r\n", "-0.5e+10", "0", "1E2", #""\"\\\/\b\f\n\r\t\u00e9é""#, "true", "false",
            #"{"a":[1,{"b":null}],"c":""}"#,
            String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        ]
    )
    func wellFormed(body: String) async {
        let problem = await problem(body)
        #expect(problem?.code != .malformedJSON, "\(problem?.detail ?? "")")
    }

    @Test("bytes that are not UTF-8 are malformed")
    func notUTF8() async {
        let request = Request(
            head: RequestHead(method: .post, target: "/", headers: ["Content-Type": "application/json"]),
            body: RequestBody([0x22, 0xFF, 0x22])
        )
        await #expect(throws: Problem(400, .malformedJSON, "body: not UTF-8")) {
            _ = try await request.json(String.self)
        }
    }

    @Test(
        "another content type is refused",
        arguments: [nil, "text/plain", "application/json5", "application/jso", ""]
    )
    func contentType(value: String?) async {
        #expect(await problem("{}", contentType: value)?.status == 415)
    }

    @Test("the limit holds: at it, and one past it")
    func limit() async {
        let body = #"{"username":"a","attempts":1}"#
        #expect(await problem(body, upTo: body.utf8.count) == nil)
        #expect(await problem(body, upTo: body.utf8.count - 1)?.status == 413)
    }

    @Test("answers leave slashes alone")
    func answer() throws {
        let response = try Response.json(["url": "/files/é"], status: .created)
        #expect(response.status == 201)
        #expect(response.headers["Content-Type"] == "application/json")
        #expect(Fixtures.text(response) == #"{"url":"/files/é"}"#)
    }
}

@Suite("Internal guard")
struct InternalGuardTests {
    private func status(_ target: String, _ headers: Headers) async -> Int {
        var router = Router()
        router.add(.get, "/internal/x") { _ in Response(.ok) }
        router.add(.get, "/public/{name}") { _ in Response(.ok) }
        let log = RequestLog(log: Log(service: "test", level: .error), metrics: Metrics())
        let inner = router
        let handler = log.wrap(InternalGuard(token: "0123456789abcdef").wrap { inner.reply(to: $0) })
        return (try? await handler(Fixtures.request(.get, target, headers)).response())?.status.code ?? 0
    }

    @Test("internal routes need the token, others do not")
    func token() async {
        #expect(await status("/internal/x", ["X-Internal-Token": "0123456789abcdef"]) == 200)
        #expect(await status("/internal/x", [:]) == 403)
        #expect(await status("/internal/x", ["X-Internal-Token": "0123456789abcdeF"]) == 403)
        #expect(await status("/internal/x", ["X-Internal-Token": "0123456789abcde"]) == 403)
        #expect(await status("/internal/x", ["X-Internal-Token": ""]) == 403)
        #expect(await status("/public/internal", [:]) == 200)
    }

    @Test(
        "no other spelling of the path gets around it",
        arguments: ["/%69nternal/x", "/internal/x?a=b", "/internal%2Fx"]
    )
    func spellings(target: String) async {
        let status = await status(target, [:])
        #expect(status == 403 || status == 404)
    }

    @Test("two tokens are none")
    func twice() async {
        var headers: Headers = ["X-Internal-Token": "0123456789abcdef"]
        headers.add("X-Internal-Token", "x")
        #expect(await status("/internal/x", headers) == 403)
    }
}

@Suite("CORS")
struct CORSTests {
    private func answer(
        _ request: Request,
        origins: [String] = ["https://a.example"],
        credentials: Bool = false
    ) async throws -> Response {
        var router = Router()
        router.add(.get, "/x") { _ in Response(.ok, headers: ["Vary": "Accept-Encoding"]) }
        router.add(.post, "/fails") { _ in throw Problem.forbidden("no") }
        let inner = router
        let cors = CORS(OriginPolicy(allowedOrigins: origins, allowsCredentials: credentials))
        return try await cors.wrap { inner.reply(to: $0) }(request).response()
    }

    @Test("an allowed origin may read the answer; caches are told that it varies")
    func allowed() async throws {
        let response = try await answer(Fixtures.request(.get, "/x", ["Origin": "https://a.example"]))
        #expect(response.headers["Access-Control-Allow-Origin"] == "https://a.example")
        #expect(response.headers["Access-Control-Allow-Credentials"] == nil)
        #expect(response.headers.contains("Access-Control-Expose-Headers", token: "X-Request-Id"))
        #expect(response.headers.contains("Vary", token: "Origin"))
        #expect(response.headers.contains("Vary", token: "Accept-Encoding"))
    }

    @Test("a foreign origin is served without leave to read, and no origin gets nothing added but Vary")
    func foreign() async throws {
        let foreign = try await answer(Fixtures.request(.get, "/x", ["Origin": "https://b.example"]))
        #expect(foreign.status == 200)
        #expect(foreign.headers["Access-Control-Allow-Origin"] == nil)
        let none = try await answer(Fixtures.request(.get, "/x"))
        #expect(none.headers["Access-Control-Allow-Origin"] == nil)
        #expect(none.headers.contains("Vary", token: "Origin"))
    }

    @Test(
        "cookies go on only without an Origin, from the edge's own, and from one that may send credentials",
        arguments: [
            (nil, false, true), ("http://chat.example", false, true), ("https://chat.example", true, false),
            ("https://a.example", true, true), ("https://a.example", false, false), ("https://b.example", true, false),
            ("null", true, false), ("", true, false),
        ] as [(String?, Bool, Bool)]
    )
    func cookies(origin: String?, credentials: Bool, expected: Bool) async throws {
        var headers: Headers = ["Host": "chat.example", "Cookie": "a=1", "X-Session-Id": "x"]
        headers.add("cookie", "session_id=c")
        headers["Origin"] = origin
        let policy = OriginPolicy(allowedOrigins: ["https://a.example"], allowsCredentials: credentials)
        let seen = Mutex<Headers?>(nil)
        let response = try await CORS(policy).wrap { request in
            seen.withLock { $0 = request.headers }
            return .now(.success(Response(.ok, headers: ["Set-Cookie": "a=2"])))
        }(Fixtures.request(.get, "/x", headers)).response()
        #expect(response.headers["Set-Cookie"] == (expected ? "a=2" : nil), "nor may others have cookies set")
        let reached = try #require(seen.withLock { $0 })
        #expect(reached.values("Cookie") == (expected ? ["a=1", "session_id=c"] : []))
        #expect(reached["X-Session-Id"] == "x", "what a page has to name itself is not a matter of trust")
    }

    @Test("errors can be read by the page as well")
    func errors() async throws {
        let response = try await answer(Fixtures.request(.post, "/fails", ["Origin": "https://a.example"]))
        #expect(response.status == 403)
        #expect(response.headers["Access-Control-Allow-Origin"] == "https://a.example")
    }

    @Test("a preflight is answered before the routes, with credentials only if the settings say so")
    func preflight() async throws {
        let headers: Headers = ["Origin": "https://a.example", "Access-Control-Request-Method": "PATCH"]
        let response = try await answer(Fixtures.request(.options, "/nowhere", headers), credentials: true)
        #expect(response.status == 204)
        #expect(response.headers["Access-Control-Allow-Credentials"] == "true")
        #expect(response.headers.contains("Access-Control-Allow-Methods", token: "PATCH"))
        #expect(response.headers.contains("Access-Control-Allow-Headers", token: "x-session-id"))
        let refused = try await answer(
            Fixtures.request(.options, "/x", ["Origin": "null", "Access-Control-Request-Method": "GET"])
        )
        #expect(refused.status == 403)
        #expect(refused.headers["Access-Control-Allow-Origin"] == nil)
        let plain = try await answer(Fixtures.request(.options, "/x", ["Origin": "https://a.example"]))
        #expect(plain.headers["Allow"] != nil)
    }

    @Test("the edge's own origin needs no entry in the list")
    func own() {
        let policy = OriginPolicy(allowedOrigins: [], allowsCredentials: false)
        let headers: Headers = ["Origin": "https://chat.example:8443", "Host": "Chat.example:8443"]
        #expect(policy.allows(Fixtures.request(.get, "/ws", headers, isSecure: true)))
        #expect(!policy.allows(Fixtures.request(.get, "/ws", headers, isSecure: false)))
        #expect(!policy.allows(Fixtures.request(.get, "/ws", ["Origin": "https://x", "Host": "y"], isSecure: true)))
        #expect(policy.allows(Fixtures.request(.get, "/ws", [:])))
        let marks: Headers = ["Origin": "https://chat.example:8443\u{301}", "Host": "Chat.example:8443"]
        #expect(!policy.allows(Fixtures.request(.get, "/ws", marks, isSecure: true)))
        let listed = OriginPolicy(allowedOrigins: ["https://é.example"], allowsCredentials: false)
        #expect(!listed.allowsForeign("https://e\u{301}.example"), "an origin is ASCII; the list's entry is punycode")
    }
}

@Suite("Session credential")
struct SessionCredentialTests {
    @Test("header, bearer, cookie, in this order")
    func order() {
        let all: Headers = ["X-Session-Id": "a", "Authorization": "bearer b", "Cookie": "x=1; session_id=c"]
        #expect(SessionCredential.find(in: Fixtures.request(.post, "/", all)) == "a")
        #expect(SessionCredential.find(in: Fixtures.request(.post, "/", ["Authorization": "Bearer b"])) == "b")
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["Cookie": "x=1; session_id=c"])) == "c")
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["Cookie": "session_id=\"c\" "])) == "c")
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["Cookie": "xsession_id=c"])) == nil)
        let marks = String(repeating: "\u{301}", count: 4000)
        let other: Headers = ["Authorization": "Bearer\(marks) b", "Cookie": "\(marks)n=\(marks);\tsession_id=c"]
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", other)) == "c", "whatever else came")
        for value in ["session_id=\(marks)", "session_id=c\(marks)", "session_id\u{301}=c"] {
            #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["Cookie": value])) == nil)
        }
    }

    @Test(
        "a cookie alone does not authenticate an unsafe method",
        arguments: [HTTP.Method.post, .put, .patch, .delete]
    )
    func unsafe(method: HTTP.Method) {
        #expect(SessionCredential.find(in: Fixtures.request(method, "/", ["Cookie": "session_id=c"])) == nil)
    }

    @Test("the query counts for WebSockets only")
    func query() {
        let policy = OriginPolicy(allowedOrigins: ["https://a.example"], allowsCredentials: false)
        let request = Fixtures.request(.get, "/ws?session_id=q")
        #expect(SessionCredential.find(in: request) == nil)
        #expect(SessionCredential.find(inWebSocketHandshake: request, origins: policy) == "q")
        let older = Fixtures.request(.get, "/ws?session_token=t")
        #expect(SessionCredential.find(inWebSocketHandshake: older, origins: policy) == "t")
    }

    @Test("a handshake's cookie counts with an allowed Origin only")
    func handshakeCookie() {
        let policy = OriginPolicy(allowedOrigins: ["https://a.example"], allowsCredentials: false)
        func find(_ origin: String?) -> String? {
            var headers: Headers = ["Cookie": "session_id=c"]
            headers["Origin"] = origin
            return SessionCredential.find(inWebSocketHandshake: Fixtures.request(.get, "/ws", headers), origins: policy)
        }
        #expect(find("https://a.example") == "c")
        #expect(find("https://b.example") == nil)
        #expect(find(nil) == nil)
    }

    @Test("what cannot be a session id is none", arguments: ["", "a b", "é", String(repeating: "x", count: 257)])
    func unusable(text: String) {
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["X-Session-Id": text])) == nil)
    }

    @Test("the longest session id is taken")
    func longest() {
        let text = String(repeating: "x", count: 256)
        #expect(SessionCredential.find(in: Fixtures.request(.get, "/", ["X-Session-Id": text])) == text)
    }
}

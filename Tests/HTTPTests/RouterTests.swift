import Core
import HTTP
import Synchronization
import Testing

@Suite("Router")
struct RouterTests {
    private static func answer(_ text: String) -> Handler {
        { request in
            let parameters = request.parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return Response(contentType: "text/plain", Array(([text] + parameters).joined(separator: " ").utf8))
        }
    }

    private static let router: Router = {
        var router = Router()
        router.add(.get, "/", answer("root"))
        router.add(.get, "/api/users/{id}", answer("user"))
        router.add(.delete, "/api/users/{id}", answer("delete"))
        router.add(.put, "/api/users/me", answer("me"))
        router.add(.get, "/api/{kind}/me/{x}", answer("kind"))
        router.add(.post, "/post", answer("post"))
        router.add(.get, "/options", answer("get"))
        router.add(.options, "/options", answer("own options"))
        router.add(.get, "/problem") { _ in throw Problem(409, .conflict, "it \"is\" so") }
        router.add(.get, "/query") { request in
            let values = request.query.values("a").joined(separator: "|")
            return Response(contentType: "text/plain", Array("\(values);\(request.query["b"] ?? "-")".utf8))
        }
        return router
    }()

    private func respond(_ method: HTTP.Method, _ target: String) async -> (status: Int, body: String, headers: Headers)
    {
        let response = await Self.router.respond(to: Request(head: RequestHead(method: method, target: target)))
        guard case .bytes(let bytes) = response.body else { return (response.status.code, "", response.headers) }
        return (response.status.code, String(decoding: bytes, as: UTF8.self), response.headers)
    }

    @Test(
        "finds the route",
        arguments: [
            ("/", "root"), ("/?a=b", "root"), ("/api/users/u1", "user id=u1"), ("/api/users/a%2Fb", "user id=a/b"),
            ("/api/users/%E5%BC%A0", "user id=张"), ("/api/users/a+b", "user id=a+b"), ("/%61pi/users/x", "user id=x"),
            ("/api/users/me/z", "kind kind=users x=z"), ("/api/users/..a", "user id=..a"),
        ]
    )
    func finds(_ target: String, _ body: String) async {
        let response = await respond(.get, target)
        #expect(response.status == 200)
        #expect(response.body == body)
    }

    @Test(
        "normalises nothing",
        arguments: [
            ("//", 404), ("/api//users/x", 404), ("/api/users/x/", 404), ("/api/users/", 404), ("/nope", 404),
            ("/API/users/x", 404), ("/api/users/./x", 400), ("/api/users/../x", 400), ("/api/users/%2e%2E", 400),
            ("/api/users/%2", 400), ("/api/users/%zz", 400), ("/api/users/%FF", 400), ("/api/users/%00", 400),
            ("/?a=%", 400), ("/?%FF", 400), ("a", 400),
        ]
    )
    func refuses(_ target: String, _ status: Int) async {
        let response = await respond(.get, target)
        #expect(response.status == status)
        #expect(response.headers["Content-Type"] == "application/problem+json")
    }

    @Test("answers 405 with Allow for the resource that the path names")
    func methodNotAllowed() async {
        let users = await respond(.post, "/api/users/u1")
        #expect(users.status == 405)
        #expect(users.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS")
        #expect(users.body.contains(#""code":"method_not_allowed""#))
        let me = await respond(.get, "/api/users/me")
        #expect(me.status == 405)
        #expect(me.headers["Allow"] == "OPTIONS, PUT")
        #expect(await respond(.head, "/post").status == 405)
    }

    @Test("HEAD falls back to GET; OPTIONS is answered unless a route takes it")
    func headAndOptions() async {
        #expect(await respond(.head, "/api/users/u1").status == 200)
        let options = await respond(.options, "/api/users/u1")
        #expect(options.status == 204)
        #expect(options.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS")
        #expect(await respond(.options, "/options").body == "own options")
        #expect(await respond(.options, "/nope").status == 404)
        #expect(await respond(.options, "*").status == 204)
    }

    @Test("turns errors into problem documents, unknown ones without their text")
    func errors() async {
        struct Secret: Error {}
        let problem = await respond(.get, "/problem")
        #expect(problem.status == 409)
        #expect(
            problem.body
                == #"{"type":"about:blank","title":"Conflict","status":409,"detail":"it \"is\" so","code":"conflict"}"#
        )
        var router = Router()
        let seen = Mutex<[String]>([])
        router.add(.get, "/secret") { _ in throw Secret() }
        router.add(.get, "/cancelled") { _ in throw CancellationError() }
        router.onError = { error, request in
            seen.withLock { $0.append("\(type(of: error)) \(request.id)") }
        }
        for target in ["/secret", "/cancelled"] {
            let request = Request(head: RequestHead(method: .get, target: target), id: "r1")
            let response = await router.respond(to: request)
            #expect(response.status == 500)
            guard case .bytes(let bytes) = response.body else { continue }
            let body = String(decoding: bytes, as: UTF8.self)
            #expect(body.contains("internal_error"))
            #expect(!body.contains("Secret"))
        }
        #expect(seen.withLock { $0 } == ["Secret r1", "CancellationError r1"])
    }

    @Test("decodes queries as forms are")
    func query() async {
        #expect(await respond(.get, "/query?a=1&b=x+y%2B&a=&a").body == "1||;x y+")
        #expect(await respond(.get, "/query?b=1=2").body == ";1=2")
    }

    @Test("a query's names are compared byte for byte")
    func queryNames() throws {
        let query = try Query(encoded: "e%CC%81=1&%C3%A9=2")
        #expect(query["e\u{301}"] == "1" && query["\u{E9}"] == "2" && query.values("\u{E9}") == ["2"])
    }

    @Test("refuses more query parameters than the limit")
    func queryLimit() async {
        let pairs = Array(repeating: "a=b", count: Query.itemCountMax)
        #expect(await respond(.get, "/query?" + pairs.joined(separator: "&")).status == 200)
        #expect(await respond(.get, "/query?" + (pairs + ["a"]).joined(separator: "&")).status == 400)
    }

    @Test("a query's whole number is digits within its range, or 400 that names both")
    func queryInteger() throws {
        let huge = String(repeating: "9", count: 20)
        let query = try Query(
            encoded: "min=1&max=200&low=0&high=201&sign=%2B5&minus=-5&empty=&text=5x&huge=\(huge)"
        )
        #expect(try query.integer("min", in: 1...200) == 1)
        #expect(try query.integer("max", in: 1...200) == 200)
        #expect(try query.integer("none", in: 1...200) == nil)
        for name in ["low", "high", "sign", "minus", "empty", "text", "huge"] {
            let expected = Problem.badRequest("\(name): must be a whole number from 1 to 200")
            #expect(throws: expected) { try query.integer(name, in: 1...200) }
        }
    }

    @Test("percent-encoding round trips")
    func percentEncoding() {
        let text = "a/b c%&?张\u{1F600}~"
        let encoded = PercentEncoding.encode(text)
        #expect(encoded == "a%2Fb%20c%25%26%3F%E5%BC%A0%F0%9F%98%80~")
        #expect(PercentEncoding.decode(encoded) == text)
    }

    @Test("what no pattern matches goes to the fallback, with whatever method; what one matches does not")
    func fallback() async throws {
        var router = Self.router
        router.fallback = Self.answer("elsewhere")
        func text(_ method: HTTP.Method, _ target: String) async -> String {
            let response = await router.respond(to: Request(head: RequestHead(method: method, target: target)))
            guard case .bytes(let bytes) = response.body else { return "\(response.status.code)" }
            return response.status == .ok ? String(decoding: bytes, as: UTF8.self) : "\(response.status.code)"
        }
        #expect(await text(.get, "/nowhere/at/all?x=1") == "elsewhere")
        #expect(await text(.put, "/nowhere") == "elsewhere")
        #expect(await text(.get, "/api/users/u1") == "user id=u1")
        #expect(await text(.put, "/post") == "405")
        #expect(await text(.get, "/a/../b") == "400")
    }
}

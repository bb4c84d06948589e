import Core
import HTTP
import Synchronization
import Testing

@Suite("Replies, and routes that answer at once")
struct ReplyTests {
    private struct Failure: Error, Equatable {}

    private static func text(_ text: String) -> Response { Response(contentType: "text/plain", Array(text.utf8)) }

    private static func text(_ response: Response) -> String? {
        guard case .bytes(let bytes) = response.body else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Answers at once what has a short body, and leaves the rest.
    private static let router: Router = {
        var router = Router()
        router.add(
            .post,
            "/at/{name}",
            immediate: { request in
                guard let body = request.body.whole else { return nil }
                guard body.count < 10 else { throw Problem(413, .tooLarge, "body: too long") }
                return body == Array("wait".utf8) ? nil : text("at once: \(request.parameters["name"] ?? "-")")
            },
            { request in text("later: \(request.parameters["name"] ?? "-")") }
        )
        router.add(.get, "/at/once", immediate: { _ in text("get") }, { _ in throw Failure() })
        router.onError = { _, _ in }
        return router
    }()

    private func reply(_ method: HTTP.Method, _ target: String, _ body: String = "") -> Reply {
        let head = RequestHead(method: method, target: target)
        return Self.router.reply(to: Request(head: head, body: RequestBody(Array(body.utf8))))
    }

    private func isNow(_ reply: Reply) -> Bool { if case .now = reply { true } else { false } }

    @Test("finish sees every outcome, at once or later")
    func map() async throws {
        let replies: [Reply] = [
            .now(.success(Response(200))), .now(.failure(Failure())), .later { Response(200) },
            .later { throw Failure() },
        ]
        for (index, reply) in replies.enumerated() {
            let mapped = reply.map { outcome in
                switch outcome {
                case .success: Response(201)
                case .failure(let error): Self.text("\(error)")
                }
            }
            #expect(isNow(mapped) == isNow(reply))
            let response = try await mapped.response()
            #expect(index % 2 == 0 ? response.status == 201 : Self.text(response) == "Failure()")
            let failing = reply.map { _ in throw Failure() }
            await #expect(throws: Failure()) { try await failing.response() }
        }
    }

    @Test("a route answers at once, and leaves to its handler what it cannot")
    func immediate() async throws {
        let now = reply(.post, "/at/x%20y", "a")
        #expect(isNow(now))
        #expect(try await Self.text(now.response()) == "at once: x y")
        let later = reply(.post, "/at/x", "wait")
        #expect(!isNow(later))
        #expect(try await Self.text(later.response()) == "later: x")
        let head = reply(.head, "/at/once")
        #expect(isNow(head))
        #expect(try await head.response().status == 200)
    }

    @Test("refusals need no task, and say what they would say later")
    func refusals() async throws {
        let refusals = [
            (reply(.post, "/at/x", "0123456789"), 413), (reply(.delete, "/at/once"), 405), (reply(.get, "/no"), 404),
            (reply(.get, "/%zz"), 400), (reply(.options, "/at/once"), 204), (reply(.get, "/at/once?a=%"), 400),
        ]
        for (reply, status) in refusals {
            #expect(isNow(reply))
            #expect(try await reply.response().status.code == status)
        }
    }

    @Test("both ways of asking a router give the same")
    func respond() async throws {
        for (method, target, body) in [
            (HTTP.Method.post, "/at/x", "a"), (.post, "/at/x", "wait"), (.get, "/at/once", ""), (.get, "/at/x", ""),
        ] {
            let head = RequestHead(method: method, target: target)
            let request = Request(head: head, body: RequestBody(Array(body.utf8)))
            let one = await Self.router.respond(to: request)
            let other = try await Self.router.reply(to: request).response()
            #expect(one.status == other.status && Self.text(one) == Self.text(other))
        }
    }

    @Test("a list field's members are split and trimmed by their bytes, whatever else is in them")
    func lists() {
        var headers: Headers = ["Vary": " a ,,\t\u{301}b\u{301}, c\u{301},\u{301}\t,"]
        headers.add("vary", "D")
        let expected = ["a", "\u{301}b\u{301}", "c\u{301}", "\u{301}", "D"]
        #expect(headers.list("Vary").map { Array($0.utf8) } == expected.map { Array($0.utf8) })
        #expect(headers.contains("Vary", token: "A") && headers.contains("Vary", token: "d"))
    }

    @Test("a media type that is not ASCII is none")
    func mediaTypes() {
        #expect(FieldParameters("form-data; name=\"é\"")?["name"] == "é")
        #expect(FieldParameters("form-dat\u{301}; name=a") == nil)
    }

    @Test("a field's name is compared without regard to ASCII case, and to nothing else")
    func fieldNames() {
        #expect(Headers.equal("X-Request-Id", "x-rEQUEST-iD"))
        #expect(Headers.equal("", ""))
        #expect(!Headers.equal("a", "ab"))
        #expect(!Headers.equal("é", "É"))
        // These differ in the bit that tells cases apart, and are no letters.
        for (a, b) in [("@", "`"), ("[", "{"), ("\u{0}", " "), ("_", "\u{7F}")] { #expect(!Headers.equal(a, b)) }
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            let (lower, upper) = (Unicode.Scalar(letter), Unicode.Scalar(letter - 0x20))
            #expect(Headers.equal(String(lower), String(upper)))
        }
    }
}

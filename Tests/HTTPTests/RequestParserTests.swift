import HTTP
import TestSupport
import Testing

@Suite("Request parser (RFC 9112)")
struct RequestParserTests {
    static let samples = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET /ws?user_id=a&x=%20 HTTP/1.1\r\nhost: example.org:6006\r\nA:\r\nB: \t x y \t\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;x=y\r\nhello\r\n00a\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-Continue\r\n\r\n",
    ]

    @Test("gives method, target, version, fields and framing of a request")
    func vector() throws {
        let (messages, error) = ParsedMessage.parse(Self.samples[2])
        #expect(error == nil)
        try #require(messages.count == 2)
        #expect(messages[0].head.method == .post)
        #expect(messages[0].head.target == "/a")
        #expect(messages[0].framing == .length(5))
        #expect(messages[0].body == Array("hello".utf8))
        #expect(messages[0].isComplete)
        #expect(messages[1].head.headers["HOST"] == "b")
        #expect(messages[1].framing == .none)
        #expect(messages[1].isComplete)
    }

    @Test("trims white space around values and keeps it inside")
    func whiteSpace() throws {
        let (messages, _) = ParsedMessage.parse(Self.samples[1])
        let head = try #require(messages.first?.head)
        #expect(head.headers.fields.map(\.value) == ["example.org:6006", "", "x y"])
    }

    @Test("decodes chunks, ignores extensions, drops trailers")
    func chunked() throws {
        let (messages, error) = ParsedMessage.parse(Self.samples[3])
        #expect(error == nil)
        try #require(messages.count == 2)
        #expect(messages[0].body == Array("hello0123456789".utf8))
        #expect(messages[0].head.headers["T"] == nil)
        #expect(messages[1].head.minorVersion == 0)
    }

    @Test("gives the same at every split point and byte by byte", arguments: samples)
    func splits(_ sample: String) {
        let whole = ParsedMessage.parse(sample)
        #expect(whole.error == nil)
        #expect(whole.messages.allSatisfy { $0.isComplete })
        for pieces in everySplit(of: Array(sample.utf8)) {
            let result = ParsedMessage.parse(pieces)
            #expect(result.messages == whole.messages)
            #expect(result.error == nil)
        }
    }

    @Test(
        "reduces absolute form to origin form, its authority standing for Host",
        arguments: [
            ("GET http://b:80/x?y=1 HTTP/1.1", "/x?y=1"), ("GET HTTPS://b:80 HTTP/1.1", "/"),
            ("GET http://b:80?q HTTP/1.1", "/?q"), ("OPTIONS http://b:80 HTTP/1.1", "*"),
        ]
    )
    func absoluteForm(_ line: String, _ target: String) throws {
        let (messages, error) = ParsedMessage.parse(line + "\r\nHost: a\r\n\r\n")
        #expect(error == nil)
        #expect(messages.first?.head.target == target)
        #expect(messages.first?.head.headers.values("Host") == ["b:80"])
    }

    @Test("keeps alive as RFC 9112 §9.3 says")
    func keepsAlive() {
        func head(_ minorVersion: Int, _ headers: Headers) -> RequestHead {
            RequestHead(method: .get, target: "/", minorVersion: minorVersion, headers: headers)
        }
        #expect(head(1, [:]).keepsAlive)
        #expect(!head(1, ["Connection": "x, Close"]).keepsAlive)
        #expect(!head(0, [:]).keepsAlive)
        #expect(head(0, ["Connection": "Keep-Alive"]).keepsAlive)
        #expect(!head(0, ["Connection": "keep-alive, close"]).keepsAlive)
    }

    @Test("expects 100-continue in HTTP/1.1 only")
    func expectsContinue() {
        #expect(RequestHead(method: .post, target: "/", headers: ["Expect": "100-Continue"]).expectsContinue)
        #expect(
            !RequestHead(method: .post, target: "/", minorVersion: 0, headers: ["Expect": "100-continue"])
                .expectsContinue
        )
    }

    @Test("hands over what follows a request, for an upgrade")
    func takeBuffered() throws {
        var parser = RequestParser()
        parser.feed(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n\u{1}\u{2}".utf8))
        _ = try parser.next()
        #expect(try parser.next() == .end)
        #expect(parser.takeBuffered() == [1, 2])
        #expect(parser.isBetweenRequests)
    }

    @Test("an error is sticky, and later input is dropped")
    func sticky() {
        var parser = RequestParser()
        parser.feed(Array("GET /\r\n".utf8))
        #expect(throws: HTTPParseError.malformedRequestLine) { try parser.next() }
        parser.feed(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(throws: HTTPParseError.malformedRequestLine) { try parser.next() }
        #expect(parser.bufferedBytes == 0)
    }

    @Test("random mutations and splits never crash, and splits change nothing")
    func mutations() {
        let seed = UInt64.random(in: 1 ... .max)
        var random = SeededGenerator(seed: seed)
        for round in 0..<4000 {
            var bytes = Array(Self.samples[Int(random.next(below: Self.samples.count))].utf8)
            for _ in 0...random.next(below: 4) {
                let index = random.next(below: bytes.count)
                switch random.next(below: 4) {
                case 0: bytes[index] = UInt8(random.next(below: 256))
                case 1: bytes.remove(at: index)
                case 2: bytes.insert(bytes[random.next(below: bytes.count)], at: index)
                default:
                    bytes.insert(contentsOf: ["\r", "\n", ":", " ", "0", ";"][random.next(below: 6)].utf8, at: index)
                }
            }
            var pieces: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = 1 + random.next(below: rest.count)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let whole = ParsedMessage.parse([bytes])
            let split = ParsedMessage.parse(pieces)
            #expect(whole.error == split.error, "seed \(seed) round \(round)")
            #expect(whole.messages == split.messages, "seed \(seed) round \(round)")
        }
    }
}

import Core
import Testing
import WebSocket

@Suite("Handshake (RFC 6455 §4.2)")
struct HandshakeTests {
    private static let good = [
        "upgrade": ["websocket"], "connection": ["Upgrade"], "sec-websocket-version": ["13"],
        "sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ=="],
    ]

    private static func check(
        _ changes: [String: [String]] = [:],
        method: String = "GET",
        isHTTP11: Bool = true
    ) throws(HandshakeError) -> String {
        let fields = good.merging(changes) { $1 }
        return try Handshake.check(method: method, isHTTP11: isHTTP11) { fields[$0.lowercased()] ?? [] }
    }

    @Test("accepts the RFC's example with its value")
    func example() throws {
        #expect(try Self.check() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(Handshake.acceptValue(forKey: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    static let accepted: [[String: [String]]] = [
        ["upgrade": ["WebSocket"]], ["upgrade": ["h2c, websocket"]], ["upgrade": ["h2c", "websocket"]],
        ["connection": ["keep-alive, Upgrade"]], ["connection": ["keep-alive", " UPGRADE\t"]],
        ["connection": [",upgrade,"]],
    ]

    @Test("reads lists of tokens in any case, over several lines", arguments: accepted)
    func lists(changes: [String: [String]]) throws {
        #expect(try Self.check(changes) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    static let refused: [(changes: [String: [String]], error: HandshakeError, status: Int)] = [
        (["upgrade": []], .upgradeMissing, 426), (["upgrade": ["h2c"]], .upgradeNotWebSocket, 426),
        (["upgrade": ["websockets"]], .upgradeNotWebSocket, 426),
        (["upgrade": [""]], .upgradeNotWebSocket, 426),
        (["upgrade": ["websocket, \u{301}"]], .upgradeNotWebSocket, 426),
        (["sec-websocket-version": ["13\u{301}"]], .versionUnsupported, 426),
        (["connection": []], .connectionMissing, 426), (["connection": ["close"]], .connectionNotUpgrade, 426),
        (["connection": ["up grade"]], .connectionNotUpgrade, 426),
        (["sec-websocket-version": []], .versionMissing, 426),
        (["sec-websocket-version": ["8"]], .versionUnsupported, 426),
        (["sec-websocket-version": ["13", "13"]], .versionUnsupported, 426),
        (["sec-websocket-version": ["013"]], .versionUnsupported, 426),
        (["sec-websocket-key": []], .keyMissing, 400), (["sec-websocket-key": [""]], .keyMalformed, 400),
        (["sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ==", "x"]], .keyRepeated, 400),
        (["sec-websocket-key": ["dGhlIHNhbXBsZSBub25j"]], .keyMalformed, 400),
        (["sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ"]], .keyMalformed, 400),
        (["sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZWU="]], .keyMalformed, 400),
        (["sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZ!=="]], .keyMalformed, 400),
    ]

    @Test("names the header that is missing or wrong", arguments: refused)
    func refuses(row: (changes: [String: [String]], error: HandshakeError, status: Int)) throws {
        #expect(throws: row.error) { try Self.check(row.changes) }
        let problem = row.error.problem
        let name = try #require(row.error.headerName)
        #expect(problem.status == row.status)
        #expect(problem.detail.contains(name))
        #expect(row.changes.keys.contains(name.lowercased()))
    }

    @Test("refuses other methods and HTTP/1.0")
    func requestLine() {
        #expect(throws: HandshakeError.methodNotGET) { try Self.check(method: "POST") }
        #expect(throws: HandshakeError.methodNotGET) { try Self.check(method: "get") }
        #expect(throws: HandshakeError.httpVersionTooOld) { try Self.check(isHTTP11: false) }
        #expect(HandshakeError.methodNotGET.problem.status == 405)
        #expect(HandshakeError.methodNotGET.problem.headers.contains { $0.name == "Allow" && $0.value == "GET" })
    }

    @Test("every 426 says what would be accepted")
    func upgradeRequired() {
        let problems = HandshakeError.allCases.map(\.problem).filter { $0.status == 426 }
        #expect(problems.count == 7)
        for problem in problems {
            #expect(problem.code == .upgradeRequired)
            #expect(problem.headers.contains { $0.name == "Upgrade" && $0.value == "websocket" })
            #expect(problem.headers.contains { $0.name == "Sec-WebSocket-Version" && $0.value == "13" })
        }
    }

    @Test("answers with the fields of 101, and makes keys that it accepts")
    func response() throws {
        let fields = Handshake.responseHeaders(accept: "value")
        #expect(fields.map(\.name) == ["Upgrade", "Connection", "Sec-WebSocket-Accept"])
        #expect(fields.map(\.value) == ["websocket", "Upgrade", "value"])
        let keys = (0..<100).map { _ in Handshake.makeKey() }
        #expect(Set(keys).count == 100)
        for key in keys { #expect(throws: Never.self) { try Self.check(["sec-websocket-key": [key]]) } }
    }
}

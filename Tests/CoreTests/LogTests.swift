import Core
import Foundation
import Glibc
import Testing

@Suite("Log")
struct LogTests {
    /// What `body` logs, line by line.
    private func lines(level: LogLevel = .debug, _ body: (Log) -> Void) throws -> [String] {
        var descriptors: [Int32] = [0, 0]
        try #require(pipe(&descriptors) == 0)
        body(Log(service: "test", level: level, descriptor: descriptors[1]))
        close(descriptors[1])
        defer { close(descriptors[0]) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptors[0], &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return text.unicodeScalars.split(separator: "\n").map { String($0) }
    }

    private func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test("a line is one JSON object that begins with time, level, service and event")
    func line() throws {
        let before = Timestamp.now()
        let lines = try lines { log in
            log.info("login", ["user_id": "u1", "count": 3, "ok": true, "ratio": .double(0.5), "none": .double(.nan)])
        }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(line.hasPrefix(#"{"ts":""#))
        #expect(
            line.hasSuffix(
                #"Z","level":"info","service":"test","event":"login","user_id":"u1","count":3,"ok":true,"#
                    + #""ratio":0.5,"none":null}"#
            )
        )
        let time = try #require(Timestamp(wire: try object(line)["ts"] as? String ?? ""))
        #expect((before...Timestamp.now()).contains(time))
    }

    @Test("a value cannot break the line or the JSON")
    func escaping() throws {
        let nasty = "a\"b\\c\nd\r\u{0}\u{1f}é😀\"}\n{\"event\":\"forged\"}"
        let lines = try lines { $0.warning("odd", ["text": .string(nasty)]) }
        #expect(lines.count == 1)
        let fields = try object(try #require(lines.first))
        #expect(fields["text"] as? String == nasty)
        #expect(fields["event"] as? String == "odd")
        #expect(fields["level"] as? String == "warning")
    }

    @Test("drops what is below its level", arguments: LogLevel.allCases)
    func levels(level: LogLevel) throws {
        let lines = try lines(level: level) { log in
            log.debug("a")
            log.info("a")
            log.warning("a")
            log.error("a")
        }
        let found = try lines.map { try object($0)["level"] as? String ?? "" }
        #expect(found == LogLevel.allCases.filter { $0 >= level }.map(\.rawValue))
    }

    @Test("numbers at their ends stay numbers")
    func numbers() throws {
        let lines = try lines { log in
            log.info("n", ["a": .int(.max), "b": .int(.min), "c": .double(1e300), "d": .double(-.infinity)])
        }
        let fields = try object(try #require(lines.first))
        #expect(fields["a"] as? Int == .max)
        #expect(fields["b"] as? Int == .min)
        #expect(fields["c"] as? Double == 1e300)
        #expect(fields["d"] is NSNull)
    }
}

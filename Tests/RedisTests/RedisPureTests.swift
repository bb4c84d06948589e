import Testing

@testable import Redis

@Suite("Redis commands and URLs")
struct RedisPureTests {
    @Test("a command is an array of bulk strings")
    func encoding() {
        let bytes: [UInt8] = [0, 13, 10]
        let command = RedisCommand("FCALL", "append_1", 2, .key("{c:1}"), .bytes(bytes), .integer(-120), .text("é"))
        let expected = [
            "*7", "$5", "FCALL", "$8", "append_1", "$1", "2", "$5", "{c:1}", "$3", "\u{0}\r\n", "$4", "-120", "$2", "é",
            "",
        ]
        .joined(separator: "\r\n")
        #expect(command.bytes == Array(expected.utf8))
        for number in [0, 9, 10, 99, 100, -1, -10, Int.max, Int.min] {
            let digits = String(number)
            #expect(
                RedisCommand("X", .integer(number)).bytes
                    == Array("*2\r\n$1\r\nX\r\n$\(digits.utf8.count)\r\n\(digits)\r\n".utf8)
            )
        }
    }

    @Test("slots are those of the specification, of the tag alone where there is one")
    func slots() {
        // The check value of CRC-16/XMODEM, and what `CLUSTER KEYSLOT` of a Redis 7.0 says.
        #expect(HashSlot.of("123456789") == 0x31c3)
        #expect(HashSlot.of("foo") == 12182)
        #expect(HashSlot.of("{user1000}.following") == HashSlot.of("user1000"))
        #expect(HashSlot.of("foo{}{bar}") == 8363)
        #expect(HashSlot.of("foo{{bar}}zap") == 4015)
        #expect(HashSlot.of("foo{bar}{zap}") == 5061)
        #expect(HashSlot.of("") == 0)
        #expect(RedisCommand("SET", .key("{a}x"), .key("b")).hashSlot == HashSlot.of("a"))
        #expect(RedisCommand("PING").hashSlot == nil)
    }

    @Test("where MOVED sends to; an empty host is the one that was asked")
    func redirection() {
        let asked = RedisEndpoint(host: "r1", port: 1)
        #expect(
            Redirection("3999 127.0.0.1:6381", asked: asked)?.target == RedisEndpoint(host: "127.0.0.1", port: 6381)
        )
        #expect(Redirection("3999 127.0.0.1:6381", asked: asked)?.slot == 3999)
        #expect(Redirection("1 :7000", asked: asked)?.target == RedisEndpoint(host: "r1", port: 7000))
        #expect(Redirection("1 ::1:7000", asked: asked)?.target == RedisEndpoint(host: "::1", port: 7000))
        for wrong in ["", "1", "x a:1", "16384 a:1", "1 a", "1 a:99999", "-1 a:1"] {
            #expect(Redirection(wrong, asked: asked) == nil, "\(wrong)")
        }
    }

    @Test("the map of a cluster")
    func map() {
        func server(_ host: RESPValue, _ port: Int) -> RESPValue { .array([host, .integer(port), .status("id")]) }
        let asked = RedisEndpoint(host: "r1", port: 1)
        let answer = RESPValue.array([
            .array([.integer(0), .integer(5), server(.status("a"), 7), server(.status("replica"), 8)]),
            .array([.integer(6), .integer(6), server(.null, 9)]),
            .array([.integer(7), .integer(8), server(.status("?"), 9)]),
        ])
        #expect(
            ClusterMap(answer, asked: asked)?.parts == [
                .init(slots: 0...5, primary: RedisEndpoint(host: "a", port: 7)),
                .init(slots: 6...6, primary: RedisEndpoint(host: "r1", port: 9)),
            ]
        )
        #expect(ClusterMap(.array([.array([.integer(5), .integer(0), server(.null, 9)])]), asked: asked) == nil)
        #expect(ClusterMap(.array([.array([.integer(0), .integer(16384), server(.null, 9)])]), asked: asked) == nil)
        #expect(ClusterMap(.status("OK"), asked: asked) == nil)
    }

    @Test("URLs")
    func urls() throws {
        let plain = try RedisURL("redis://localhost")
        #expect(plain.endpoints == [RedisEndpoint(host: "localhost", port: 6379)])
        #expect((plain.user, plain.password, plain.database) == (nil, nil, 0))
        let full = try RedisURL("redis://chat:p%40ss%2Fw@r:7000/3")
        #expect((full.user, full.password, full.database) == ("chat", "p@ss/w", 3))
        #expect(full.endpoints == [RedisEndpoint(host: "r", port: 7000)])
        #expect(try RedisURL("redis://:pw@[::1]:7/").password == "pw")
        #expect(try RedisURL("redis://[::1]").endpoints == [RedisEndpoint(host: "::1", port: 6379)])
        #expect(try RedisURL("redis://a,b:1,[::1]:2").endpoints.map(\.description) == ["a:6379", "b:1", "[::1]:2"])
    }

    @Test(
        "what is no URL, said without a word of it",
        arguments: [
            ("http://a", RedisURL.Failure.notRedis), ("rediss://a", .notRedis), ("redis://", .malformedHost),
            ("redis://secret@a", .malformedUser), ("redis://u:@a", .malformedUser), ("redis://u:%zz@a", .malformedUser),
            ("redis://a:0", .malformedHost), ("redis://a:x", .malformedHost), ("redis://a:65536", .malformedHost),
            ("redis://a,,b", .malformedHost), ("redis://[::1", .malformedHost), ("redis://a b", .malformedHost),
            ("redis://a/x", .malformedDatabase), ("redis://a/-1", .malformedDatabase),
            ("redis://a,b/1", .clusterDatabase),
        ]
    )
    func wrongURLs(_ text: String, _ failure: RedisURL.Failure) {
        #expect(throws: failure) { try RedisURL(text) }
    }

    @Test("no way of printing a URL shows its password")
    func secrecy() throws {
        let url = try RedisURL("redis://chat:hidden@r/1")
        var dumped = ""
        dump(url, to: &dumped)
        for text in ["\(url)", String(reflecting: url), String(describing: [url]), dumped] {
            #expect(!text.contains("hidden"))
            #expect(text.contains("***"))
        }
    }
}

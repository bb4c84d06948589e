import HTTP
import Testing
import Transport

@Suite("Trusted proxies")
struct TrustedProxiesTests {
    @Test(
        "takes the right-most address that is not trusted",
        arguments: [
            ("10.1.2.3", ["X-Forwarded-For": "1.1.1.1, 2.2.2.2"], "2.2.2.2"),
            ("10.1.2.3", ["X-Forwarded-For": "1.1.1.1, 10.9.9.9"], "1.1.1.1"),
            ("10.1.2.3", ["X-Forwarded-For": "10.9.9.8, 10.9.9.9"], "10.9.9.8"),
            ("10.1.2.3", ["X-Forwarded-For": "1.1.1.1, garbage, 10.9.9.9"], "10.9.9.9"),
            ("10.1.2.3", ["X-Forwarded-For": "1.1.1.1:80"], "10.1.2.3"), ("10.1.2.3", [:], "10.1.2.3"),
            ("10.1.2.3", ["X-Forwarded-For": "2001:db8::1"], "2001:db8::1"),
            ("11.1.2.3", ["X-Forwarded-For": "1.1.1.1"], "11.1.2.3"),
            ("fd12::1", ["X-Forwarded-For": "1.1.1.1"], "1.1.1.1"), ("::1", ["X-Forwarded-For": "1.1.1.1"], "1.1.1.1"),
            ("::2", ["X-Forwarded-For": "1.1.1.1"], "::2"),
        ] as [(String, Headers, String)]
    )
    func remoteAddress(_ peer: String, _ headers: Headers, _ expected: String) throws {
        let proxies = try #require(TrustedProxies(["10.0.0.0/8", "fd00::/8", "::1"]))
        #expect(proxies.remoteAddress(peer: peer, headers) == expected)
    }

    @Test("ranges that end inside a byte")
    func prefixes() throws {
        let proxies = try #require(TrustedProxies(["192.168.16.0/20"]))
        #expect(proxies.contains("192.168.16.0"))
        #expect(proxies.contains("192.168.31.255"))
        #expect(!proxies.contains("192.168.32.0"))
        #expect(!proxies.contains("192.168.15.255"))
        let all = try #require(TrustedProxies(["0.0.0.0/0"]))
        #expect(all.contains("8.8.8.8"))
        #expect(!all.contains("2001:db8::1"))
    }

    @Test(
        "refuses what is no range",
        arguments: ["", "a", "10.0.0.0/33", "10.0.0.0/", "::1/129", "10.0.0.0/-1", "1.2.3"]
    )
    func malformed(_ text: String) {
        #expect(TrustedProxies([text]) == nil)
    }
}

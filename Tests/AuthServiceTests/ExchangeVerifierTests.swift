import Core
import Crypto
import ServiceKit
import Testing

@testable import AuthService

@Suite("Tokens of the site's login")
struct ExchangeVerifierTests {
    private static let secret = "0123456789abcdef0123456789abcdef"
    private static let unsigned = AuthError.invalidToken(rule: "not signed with this stack's secret")
    private static let header = #"{"alg":"HS256","typ":"JWT"}"#
    private static let issued: Int64 = 1_760_000_000
    private static let claims = #"{"sub":"u1","iat":1760000000,"exp":1760000300,"jti":"j"}"#

    private let now = Timestamp(milliseconds: issued * 1000)

    private func sign(_ text: String, _ secret: String = secret) -> String {
        let code = HMACSHA256.code(for: Array(text.utf8), key: Array(secret.utf8))
        return text + "." + Base64URL.encode(code)
    }

    private func token(_ claims: String = claims, header: String = header, secret: String = secret) -> String {
        sign(Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8)), secret)
    }

    /// The claims with some put in the place of others; `nil` leaves one out.
    private func claims(_ changes: [String: String?]) -> String {
        let all = ["sub": #""u1""#, "iat": "1760000000", "exp": "1760000300", "jti": #""j""#]
        let members = all.merging(changes.mapValues { $0 ?? "" }) { $1 }.filter { !$0.value.isEmpty }
        return "{" + members.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    private func verify(
        _ token: String,
        after milliseconds: Int64 = 0,
        secrets: [String] = [secret],
        audience: String? = nil
    ) throws(AuthError) -> ExchangeToken {
        let verifier = ExchangeVerifier(secrets: secrets.map { Array($0.utf8) }, audience: audience)
        return try verifier.verify(token, now: now.advanced(byMilliseconds: milliseconds))
    }

    /// The rule that a token breaks; `nil` if it is accepted.
    private func rule(_ token: String, after milliseconds: Int64 = 0, audience: String? = nil) -> String? {
        do {
            _ = try verify(token, after: milliseconds, audience: audience)
            return nil
        } catch {
            if case .invalidToken(let rule) = error { return rule }
            return "\(error)"
        }
    }

    // MARK: - Signature

    @Test("RFC 7515 A.1: its signature is right, so that its claims are what is wrong; with any bit changed it is not")
    func publishedSignature() throws {
        let key = try #require(
            Base64URL.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        )
        let published =
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
            + "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
            + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let verifier = ExchangeVerifier(secrets: [key], audience: nil)
        #expect(throws: AuthError.invalidToken(rule: "sub is required")) { try verifier.verify(published, now: now) }
        for index in published.indices where published[index] != "." {
            var changed = published
            changed.replaceSubrange(index...index, with: published[index] == "A" ? "B" : "A")
            #expect(throws: Self.unsigned) { try verifier.verify(changed, now: now) }
        }
    }

    @Test("tokens made by PyJWT 2.6.0 are read")
    func independentTokens() throws {
        let first =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ6aGFuZy5zYW4iLCJpYXQiOjE3NjAwMDAwMDAsImV4cCI6M"
            + "Tc2MDAwMDMwMCwianRpIjoiYS0xIiwibmFtZSI6Ilx1NWYyMFx1NGUwOSJ9.j3dWudfKUVnhzsR6VqJ4iJlGqTqpptiwhPIch1PMLZk"
        #expect(
            try verify(first)
                == ExchangeToken(
                    userID: "zhang.san",
                    userName: "张三",
                    jti: "a-1",
                    acceptedUntil: now.advanced(byMilliseconds: 330_000)
                )
        )
        // Fractions of seconds, `nbf`, a list of audiences, a `kid`.
        let second =
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1MiIsImlhdCI6MTc2MDAwMDAwMC41"
            + "LCJleHAiOjE3NjAwMDAwNjAuMjUsIm5iZiI6MTc2MDAwMDAwMSwianRpIjoiYiIsImF1ZCI6WyJ4IiwiY2hhdCJdfQ."
            + "ISuwiT3IkHC2gyOmHsoAf3tJ1POzThiSc3h_k8tnUbQ"
        #expect(
            try verify(second, audience: "chat")
                == ExchangeToken(
                    userID: "u2",
                    userName: nil,
                    jti: "b",
                    acceptedUntil: now.advanced(byMilliseconds: 90_250)
                )
        )
        // Another secret, no `typ`, one audience.
        let third =
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MyIsImlhdCI6MTc2MDAwMDAwMCwiZXhwIjoxNzYwMDAwMDYwLCJqdGkiOiJjI"
            + "iwiYXVkIjoiY2hhdCJ9.wPy5tnhfRnWDvNs0wWLvNVdxHLywSp6HeqmQ5Z3Sm-g"
        let other = String(Self.secret.reversed())
        #expect(try verify(third, secrets: [Self.secret, other], audience: "chat").userID == "u3")
        #expect(throws: Self.unsigned) { try verify(third, audience: "chat") }
    }

    @Test("another algorithm is refused: PyJWT's HS512 and none as not signed, a right signature by its header")
    func algorithms() {
        let payload =
            "eyJzdWIiOiJ6aGFuZy5zYW4iLCJpYXQiOjE3NjAwMDAwMDAsImV4cCI6MTc2MDAwMDMwMCwianRpIjoiYS0xIiwibmFt"
            + "ZSI6Ilx1NWYyMFx1NGUwOSJ9"
        let foreign = [
            "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.\(payload)."
                + "hBAwXx1eLMlo9osCUzR9HOvBG_qLhyBtoKzIQqQbrrTroOFeuVSC2dzDBXDr3gWNHcmeBwQyMuFvSxK5IMXArw",
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.\(payload).",
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.\(payload)",
        ]
        for token in foreign { #expect(throws: Self.unsigned) { try verify(token) } }
        for alg in ["none", "None", "hs256", "HS384", "HS512", "RS256", "ES256", "HS256 ", ""] {
            #expect(rule(token(header: #"{"alg":"\#(alg)"}"#)) == "alg must be HS256")
        }
    }

    @Test("both secrets are taken, and nothing else; without any nothing is")
    func secrets() throws {
        let (old, new) = (String(repeating: "o", count: 32), String(repeating: "n", count: 32))
        #expect(try verify(token(secret: old), secrets: [new, old]).userID == "u1")
        #expect(try verify(token(secret: new), secrets: [new, old]).userID == "u1")
        #expect(throws: Self.unsigned) { try verify(token(secret: old), secrets: [new]) }
        #expect(throws: Self.unsigned) { try verify(token(secret: ""), secrets: []) }
    }

    @Test("until the signature is right nothing else is told")
    func unsigned() {
        let good = token()
        let parts = good.split(separator: ".").map(String.init)
        let wrong = [
            "", ".", "..", "...", parts[0], "\(parts[0]).\(parts[1])", "\(parts[0]).\(parts[1]).", ".\(good)",
            "\(good).", "\(good).\(parts[2])", " \(good)", "\(good)\n", "\(good)=", good.dropLast().description,
            "\(good)A", "\(parts[0])..\(parts[2])", "\(parts[0]).\(parts[0]).\(parts[1]).\(parts[2])",
            // The last character of 32 bytes has two bits that no encoder sets.
            good.dropLast() + (good.hasSuffix("A") ? "B" : String(Self.successor(of: good))),
            token("{}", secret: "x"), token(#"{"exp":1}"#, secret: "x"), sign("a.b", "x"),
        ]
        for token in wrong { #expect(rule(token) == "not signed with this stack's secret", "\(token)") }
    }

    /// The next character of the alphabet, for the last one of a text.
    private static func successor(of text: String) -> Character {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let index = alphabet.firstIndex { $0 == text.last } ?? 0
        return alphabet[(index + 1) % alphabet.count]
    }

    @Test("a token has at most 4096 bytes")
    func length() {
        func padded(_ count: Int) -> String {
            token(claims(["x": "\"\(String(repeating: "x", count: count))\""]))
        }
        let fits = (2900...3100).filter { padded($0).utf8.count <= 4096 }.max() ?? 0
        #expect(padded(fits).utf8.count >= 4095)
        #expect(rule(padded(fits)) == nil)
        #expect(rule(padded(fits + 2)) == "not signed with this stack's secret")
    }

    // MARK: - Form

    @Test("the signed parts are base64url in its only form")
    func canonicalParts() {
        let header = Base64URL.encode(Array(Self.header.utf8))
        let claims = Base64URL.encode(Array(Self.claims.utf8))
        for other in [header + "=", header + "\n", header.dropLast() + "+", ""] {
            let rule = rule(sign("\(other).\(claims)"))
            #expect(rule?.hasPrefix("the header must be ") == true, "\(rule ?? "accepted") \(other)")
        }
        #expect(claims.utf8.count % 4 != 0)
        let successor = claims.dropLast() + String(Self.successor(of: claims))
        for other in [claims + "=", successor, claims + "A=", "A"] {
            #expect(rule(sign("\(header).\(other)")) == "the claims must be base64url without padding")
        }
    }

    @Test(
        "header and claims are JSON objects that name each member once",
        arguments: ["", "[]", "null", "\"x\"", "{", "{}{}", #"{"a":1,}"#, "\u{FEFF}{}", "{\"\\uD800\":1,}"]
    )
    func notObjects(text: String) {
        #expect(rule(token(text)) == "the claims must be a JSON object")
        #expect(rule(token(header: text)) == "the header must be a JSON object")
    }

    @Test("a member that is there twice is refused, also under an escaped name")
    func duplicateMembers() {
        for extra in [#""sub":"u2""#, #""s\u0075b":"u2""#, #""x":1,"x":1"#] {
            let claims = Self.claims.dropLast() + ",\(extra)}"
            #expect(rule(token(String(claims))) == "the claims must name each member once")
        }
        #expect(rule(token(header: #"{"alg":"none","alg":"HS256"}"#)) == "the header must name each member once")
        // Colons in strings and deeper down are no members.
        let nested = Self.claims.dropLast() + #","a:\"b":"\\",":":{"sub":":","x":[{"y":1}]},"z":["a:b"]}"#
        #expect(rule(token(String(nested))) == nil)
    }

    @Test(
        "what the header may hold",
        arguments: [
            (#"{"alg":"HS256"}"#, nil), (#"{"typ":"JWT","alg":"HS256","kid":"1","jku":"http://x"}"#, nil),
            (#"{"alg":"HS256","typ":"jose"}"#, "typ must be JWT"), (#"{"alg":"HS256","typ":"jwt"}"#, "typ must be JWT"),
            (#"{"alg":"HS256","typ":null}"#, "typ must not be null"),
            (#"{"alg":"HS256","typ":1}"#, "typ must be a string"),
            (#"{"typ":"JWT"}"#, "alg is required"), (#"{"alg":null}"#, "alg must not be null"),
            (#"{"alg":["HS256"]}"#, "alg must be a string"),
            (#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "crit must not be there"),
            (#"{"alg":"HS256","crit":null}"#, "crit must not be there"),
            (#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, "crit must not be there"),
        ] as [(String, String?)]
    )
    func header(header: String, rule: String?) { #expect(self.rule(token(header: header)) == rule) }

    @Test(
        "what the claims must be",
        arguments: [
            (["sub": nil], "sub is required"), (["sub": "7"], "sub must be a string"),
            (["sub": "null"], "sub must not be null"), (["sub": #""""#], "sub must be 1 to 64"),
            (["sub": #""a b""#], "sub must be 1 to 64"), (["sub": #""me""#], "sub must be 1 to 64"),
            (["sub": #""guest-1""#], "sub must be 1 to 64"), (["sub": #""system""#], "sub must be 1 to 64"),
            (["jti": nil], "jti is required"), (["jti": #""""#], "jti must have 1 to 128 bytes"),
            (["jti": "1"], "jti must be a string"),
            (["jti": "\"\(String(repeating: "j", count: 128))\""], nil),
            (["jti": "\"\(String(repeating: "j", count: 129))\""], "jti must have 1 to 128 bytes"),
            (["jti": "\"\(String(repeating: "é", count: 65))\""], "jti must have 1 to 128 bytes"),
            (["name": "null"], "name must not be null"), (["name": #"" ""#], "name must have 1 to 128 bytes"),
            (["name": #""a\u202eb""#], "name must have 1 to 128 bytes"), (["name": "1"], "name must be a string"),
            (["iat": nil], "iat is required"), (["exp": nil], "exp is required"),
            (["exp": #""1760000300""#], "exp must be a number"), (["iat": "true"], "iat must be a number"),
            (["iat": "-1"], "iat must be seconds"), (["exp": "1e300"], "exp must be seconds"),
            (["exp": "253402300800"], "exp must be seconds"), (["nbf": "null"], "nbf must not be null"),
            (["nbf": "1e300"], "nbf must be seconds"), (["nbf": #""x""#], "nbf must be a number"),
            (["aud": #""x""#], "aud must not be there"), (["aud": "[]"], "aud must not be there"),
        ] as [([String: String?], String?)]
    )
    func claims(changes: [String: String?], rule: String?) {
        let found = self.rule(token(claims(changes)))
        #expect(rule == nil ? found == nil : found?.hasPrefix(rule ?? "") == true, "\(found ?? "accepted")")
    }

    @Test(
        "the audience, where there is one, must be named",
        arguments: [
            (nil, false), (#""chat""#, true), (#"["x","chat"]"#, true), (#"["chat"]"#, true), ("[]", false),
            (#""Chat""#, false), (#"["x"]"#, false), ("null", false), ("7", false), (#"[7,"chat"]"#, false),
        ] as [(String?, Bool)]
    )
    func audience(named: String?, isFine: Bool) {
        let rule = rule(token(claims(["aud": named])), audience: "chat")
        #expect(isFine ? rule == nil : rule?.hasPrefix("aud") == true, "\(rule ?? "accepted")")
    }

    // MARK: - Time

    @Test(
        "exp, iat and nbf hold to the millisecond, with 30 s of leeway",
        arguments: [
            ([:], 329_999, nil), ([:], 330_000, "exp must not be in the past"),
            ([:], -30_000, nil), ([:], -30_001, "iat must not be in the future"),
            (["exp": "1760000300.001"], 0, "exp must be at most 300 s after iat"),
            (["exp": "1760000000"], 0, "exp must be at most 300 s after iat"),
            (["exp": "1759999999"], 0, "exp must be at most 300 s after iat"),
            (["exp": "1760000000.001"], 30_000, nil),
            (["exp": "1760000000.001"], 30_001, "exp must not be in the past"),
            (["exp": "1.7600003e9"], 0, nil),
            (["nbf": "1760000100"], 70_000, nil), (["nbf": "1760000100"], 69_999, "nbf must not be in the future"),
            (["nbf": "0"], 0, nil),
        ] as [([String: String?], Int64, String?)]
    )
    func times(changes: [String: String?], after milliseconds: Int64, rule: String?) {
        #expect(self.rule(token(claims(changes)), after: milliseconds) == rule)
    }

    @Test("what is accepted says until when, and the name as it is kept")
    func accepted() throws {
        let claims = claims(["exp": "1760000010.5", "name": #"" Zoe\u0308 ""#])
        let read = try verify(token(claims))
        #expect(read.acceptedUntil == now.advanced(byMilliseconds: 40_500))
        #expect(read.userName?.unicodeScalars.elementsEqual("Zo\u{EB}".unicodeScalars) == true)
    }

    @Test("the settings make the verifier, or none; a refusal is 401 invalid_token")
    func config() throws {
        #expect(try AuthConfig(Settings.development()).exchangeVerifier == nil)
        let settings = try Settings.development([
            "auth.exchange_secret": "another secret of thirty-two bytes".replacing(" ", with: "-"),
            "auth.exchange_secret_previous": Self.secret, "auth.exchange_audience": "chat",
        ])
        let verifier = try #require(try AuthConfig(settings).exchangeVerifier)
        #expect(try verifier.verify(token(claims(["aud": #""chat""#])), now: now).userID == "u1")
        let error = #expect(throws: AuthError.self) { try verifier.verify(token(), now: now) }
        #expect(error?.problem.status == 401 && error?.problem.code == .invalidToken)
        #expect(error?.problem.detail == "token: aud must be or contain this stack's audience")
    }
}

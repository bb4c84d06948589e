import Core
import Crypto
import ServiceKit

/// Reads the tokens of `POST /auth/exchange`: JWTs (RFC 7519) in the compact form (RFC 7515 §7.1), signed with HS256.
///
/// The algorithm is fixed here and never taken from the token. Until the signature is right the answer is always the
/// same; then it names the rule, for whoever writes the site's backend.
struct ExchangeVerifier: Sendable {
    private let secrets: [[UInt8]]
    private let audience: String?

    /// The longest token, in bytes.
    static let tokenBytesMax = 4096
    /// From `iat` to `exp` at most, in milliseconds.
    static let lifetimeMilliseconds: Int64 = 300_000
    /// What the site's clock may be off by, in milliseconds.
    static let leewayMilliseconds: Int64 = 30_000
    /// The longest `jti`, in bytes of UTF-8.
    static let jtiBytesMax = 128

    /// - Parameters:
    ///   - secrets: Any of them may have signed.
    ///   - audience: What `aud` must be or contain; `nil`: there must be no `aud`, since whatever it names is somebody
    ///     else (RFC 7519 §4.1.3).
    init(secrets: [[UInt8]], audience: String?) {
        self.secrets = secrets
        self.audience = audience
    }

    /// What `token` says, if it holds at `now`.
    ///
    /// Whether it was used before is not known here.
    ///
    /// - Throws: `AuthError.invalidToken` with the rule that it breaks.
    func verify(_ token: String, now: Timestamp) throws(AuthError) -> ExchangeToken {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard token.utf8.count <= Self.tokenBytesMax, parts.count == 3,
            let signature = Base64URL.decode(parts[2]), isSigned("\(parts[0]).\(parts[1])", signature)
        else { throw .invalidToken(rule: "not signed with this stack's secret") }
        try checkHeader(try Self.read(ExchangeHeader.self, "the header", parts[0]))
        return try check(try Self.read(ExchangeClaims.self, "the claims", parts[1]), now: now)
    }

    /// Tries every secret, so that the time does not tell which one it was.
    private func isSigned(_ text: String, _ signature: [UInt8]) -> Bool {
        let text = Array(text.utf8)
        return secrets.count { HMACSHA256.isValid(signature, for: text, key: $0) } > 0
    }

    private func checkHeader(_ header: ExchangeHeader) throws(AuthError) {
        guard header.alg == "HS256" else { throw .invalidToken(rule: "alg must be HS256") }
        guard header.typ == nil || header.typ == "JWT" else { throw .invalidToken(rule: "typ must be JWT") }
        // It lists what a reader must understand (RFC 7515 §4.1.11), and here nothing of the kind is.
        guard !header.hasCritical else { throw .invalidToken(rule: "crit must not be there") }
    }

    private func check(_ claims: ExchangeClaims, now: Timestamp) throws(AuthError) -> ExchangeToken {
        guard Account.isAssignableID(claims.sub) else {
            throw .invalidToken(rule: "sub \(Account.userIDRule)")
        }
        guard (1...Self.jtiBytesMax).contains(claims.jti.utf8.count) else {
            throw .invalidToken(rule: "jti must have 1 to \(Self.jtiBytesMax) bytes of UTF-8")
        }
        let name = claims.name.flatMap(Account.normalizedName)
        guard claims.name == nil || name != nil else { throw .invalidToken(rule: "name \(Account.userNameRule)") }
        try checkAudience(claims.aud)
        let issuedAt = try Self.time("iat", claims.iat)
        let expiresAt = try Self.time("exp", claims.exp)
        let lifetime = expiresAt.milliseconds - issuedAt.milliseconds
        guard lifetime > 0, lifetime <= Self.lifetimeMilliseconds else {
            throw .invalidToken(rule: "exp must be at most \(Self.lifetimeMilliseconds / 1000) s after iat")
        }
        let latest = now.advanced(byMilliseconds: Self.leewayMilliseconds)
        guard issuedAt <= latest else { throw .invalidToken(rule: "iat must not be in the future") }
        if let nbf = claims.nbf, try Self.time("nbf", nbf) > latest {
            throw .invalidToken(rule: "nbf must not be in the future")
        }
        let acceptedUntil = expiresAt.advanced(byMilliseconds: Self.leewayMilliseconds)
        guard now < acceptedUntil else { throw .invalidToken(rule: "exp must not be in the past") }
        return ExchangeToken(userID: claims.sub, userName: name, jti: claims.jti, acceptedUntil: acceptedUntil)
    }

    private func checkAudience(_ named: [String]?) throws(AuthError) {
        switch audience {
        case let audience?:
            // Byte for byte (RFC 7519 §2, StringOrURI), not by Unicode's equivalence.
            guard named?.contains(where: { $0.utf8.elementsEqual(audience.utf8) }) == true else {
                throw .invalidToken(rule: "aud must be or contain this stack's audience")
            }
        case nil:
            guard named == nil else { throw .invalidToken(rule: "aud must not be there: this stack has no audience") }
        }
    }

    /// Seconds since 1970 (RFC 7519 §2, NumericDate), up to the year 9999.
    private static func time(_ name: String, _ seconds: Double) throws(AuthError) -> Timestamp {
        guard (0...253_402_300_799).contains(seconds) else {
            throw .invalidToken(rule: "\(name) must be seconds since 1970")
        }
        return Timestamp(milliseconds: Int64((seconds * 1000).rounded()))
    }

    // MARK: - JSON

    private static func read<Value: Decodable>(
        _ type: Value.Type,
        _ what: String,
        _ part: Substring
    ) throws(AuthError) -> Value {
        guard let bytes = Base64URL.decode(part) else {
            throw .invalidToken(rule: "\(what) must be base64url without padding")
        }
        do {
            let names = try JSONBody.decode([String: ExchangeIgnored].self, from: bytes)
            guard memberCount(bytes) == names.count else {
                throw AuthError.invalidToken(rule: "\(what) must name each member once")
            }
            return try JSONBody.decode(type, from: bytes)
        } catch let error as AuthError {
            throw error
        } catch let problem as Problem {
            guard let wrong = problem.errors.first, wrong.field != "body" else {
                throw .invalidToken(rule: "\(what) must be a JSON object")
            }
            throw .invalidToken(rule: "\(wrong.field) \(wrong.rule)")
        } catch {
            throw .invalidToken(rule: "\(what) must be a JSON object")
        }
    }

    /// The members of the outermost object.
    ///
    /// Decoders take the first or the last of two with one name; RFC 7519 §4 wants the last, or a refusal.
    ///
    /// - Parameter json: Valid JSON.
    private static func memberCount(_ json: [UInt8]) -> Int {
        var depth = 0
        var count = 0
        var isInString = false
        var isEscaped = false
        for byte in json {
            if isEscaped {
                isEscaped = false
                continue
            }
            switch byte {
            case UInt8(ascii: "\\"): isEscaped = isInString
            case UInt8(ascii: "\""): isInString.toggle()
            case _ where isInString: break
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ":") where depth == 1: count += 1
            default: break
            }
        }
        return count
    }
}

/// The JOSE header (RFC 7515 §4.1), as far as it matters here.
private struct ExchangeHeader: Decodable {
    let alg: String
    let typ: String?
    let hasCritical: Bool

    private enum CodingKeys: String, CodingKey { case alg, typ, crit }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        alg = try members.decode(String.self, forKey: .alg)
        typ = try members.ifThere(String.self, .typ)
        hasCritical = members.contains(.crit)
    }
}

/// The claims (RFC 7519 §4.1), and `name` (OpenID Connect Core 1.0 §5.1).
private struct ExchangeClaims: Decodable {
    let sub: String
    let iat: Double
    let exp: Double
    let nbf: Double?
    let jti: String
    let name: String?
    let aud: [String]?

    private enum CodingKeys: String, CodingKey { case sub, iat, exp, nbf, jti, name, aud }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        sub = try members.decode(String.self, forKey: .sub)
        iat = try members.decode(Double.self, forKey: .iat)
        exp = try members.decode(Double.self, forKey: .exp)
        nbf = try members.ifThere(Double.self, .nbf)
        jti = try members.decode(String.self, forKey: .jti)
        name = try members.ifThere(String.self, .name)
        let one = try? members.ifThere(String.self, .aud)
        aud = try one.map { [$0] } ?? members.ifThere([String].self, .aud)
    }
}

/// Any JSON value.
private struct ExchangeIgnored: Decodable {
    init(from decoder: any Decoder) {}
}

extension KeyedDecodingContainer {
    /// The member's value; `nil` when it is not there, and not when it is `null`.
    fileprivate func ifThere<Value: Decodable>(_ type: Value.Type, _ key: Key) throws -> Value? {
        contains(key) ? try decode(type, forKey: key) : nil
    }
}

import Core
import HTTP

/// The id that ties a request's log lines together through all services.
enum RequestID {
    static let lengthMax = 64

    /// `X-Request-Id` if it is `[A-Za-z0-9_.-]{1,64}`, else a fresh id.
    static func of(_ headers: Headers) -> String {
        guard let sent = headers["X-Request-Id"], (1...lengthMax).contains(sent.utf8.count),
            sent.utf8.allSatisfy(Identifier.isNameByte)
        else { return make() }
        return sent
    }

    /// 64 random bits in hexadecimal.
    static func make() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

import Core
import ServiceKit

/// The cookie that carries a browser's session (RFC 6265): never readable by scripts, not sent by foreign pages' forms.
enum SessionCookie {
    /// The `Set-Cookie` value of a session that ends at `endsAt` in any case.
    static func set(_ id: String, endsAt: Timestamp, now: Timestamp, isSecure: Bool) -> String {
        let seconds = max(0, (endsAt.milliseconds - now.milliseconds) / 1000)
        return "\(SessionCredential.cookieName)=\(id); Max-Age=\(seconds)\(attributes(isSecure))"
    }

    /// The `Set-Cookie` value that takes the cookie away.
    static func removal(isSecure: Bool) -> String {
        "\(SessionCredential.cookieName)=; Max-Age=0\(attributes(isSecure))"
    }

    private static func attributes(_ isSecure: Bool) -> String {
        "; Path=/; HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "")
    }
}

/// Where a session was begun, for its user to know it again in a list.
struct SessionOrigin: Sendable, Equatable {
    /// The longest `User-Agent` that is kept, in characters.
    static let userAgentMax = 200

    var remoteAddress = ""
    /// The request's `User-Agent`, cut and without control characters.
    let userAgent: String

    init(remoteAddress: String = "", userAgent: String = "") {
        self.remoteAddress = remoteAddress
        let printable = userAgent.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }
        self.userAgent = String(String.UnicodeScalarView(printable.prefix(Self.userAgentMax)))
    }
}

import WebSocket

/// Why the gateway closes a socket: the one catalogue of its close codes.
///
/// Each says when it is sent, and whether the client may connect again.
enum CloseReason: CaseIterable {
    /// 1001: this gateway is stopping. Reconnect after a random pause, of at most what the reason gives.
    case drain
    /// 1003: a binary message. Do not reconnect without mending the client.
    case binary
    /// 1008: too many refused frames in a minute. Do not reconnect without mending the client.
    case badFrames
    /// 1013: what waits for the client cannot be read, or presence of sessions is unknown. Reconnect with back-off.
    case overload
    /// 4401: the session has ended. Log in.
    case sessionEnded
    /// 4408: nothing was heard for 2.5 ping intervals. Reconnect.
    case heartbeat
    /// 4409: newer connections of the same user took its place. Do not reconnect.
    case replaced

    var code: CloseCode {
        switch self {
        case .drain: .goingAway
        case .binary: .unsupportedData
        case .badFrames: .policyViolation
        case .overload: .tryAgainLater
        case .sessionEnded: CloseCode(rawValue: 4401)
        case .heartbeat: CloseCode(rawValue: 4408)
        case .replaced: CloseCode(rawValue: 4409)
        }
    }

    /// The close frame's text, for people; at most 123 bytes.
    var text: String {
        switch self {
        case .drain: "going away; reconnect in 0-1000 ms"
        case .binary: "text frames only"
        case .badFrames: "too many refused frames"
        case .overload: "try again later"
        case .sessionEnded: "session ended; log in"
        case .heartbeat: "nothing heard"
        case .replaced: "replaced by newer connections"
        }
    }

    var mayReconnect: Bool {
        switch self {
        case .drain, .overload, .heartbeat: true
        case .binary, .badFrames, .sessionEnded, .replaced: false
        }
    }
}

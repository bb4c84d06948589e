package import Core

/// Why a request does not open a WebSocket (RFC 6455 §4.2.1).
package enum HandshakeError: Error, Sendable, CaseIterable {
    case methodNotGET
    case upgradeMissing
    case upgradeNotWebSocket
    case connectionMissing
    case connectionNotUpgrade
    case httpVersionTooOld
    case versionMissing
    case versionUnsupported
    case keyMissing
    case keyRepeated
    case keyMalformed

    /// The header field that is missing or wrong; `nil` when it is the request line.
    package var headerName: String? {
        switch self {
        case .methodNotGET, .httpVersionTooOld: nil
        case .upgradeMissing, .upgradeNotWebSocket: "Upgrade"
        case .connectionMissing, .connectionNotUpgrade: "Connection"
        case .versionMissing, .versionUnsupported: "Sec-WebSocket-Version"
        case .keyMissing, .keyRepeated, .keyMalformed: "Sec-WebSocket-Key"
        }
    }

    private var detail: String {
        switch self {
        case .methodNotGET: "A WebSocket is opened with GET."
        case .upgradeMissing: "The header Upgrade is missing: this address speaks WebSocket. \(Self.proxyHint)"
        case .upgradeNotWebSocket: "The header Upgrade does not name websocket."
        case .connectionMissing: "The header Connection is missing; it must name Upgrade. \(Self.proxyHint)"
        case .connectionNotUpgrade: "The header Connection does not name Upgrade. \(Self.proxyHint)"
        case .httpVersionTooOld: "A WebSocket needs HTTP/1.1. \(Self.proxyHint)"
        case .versionMissing: "The header Sec-WebSocket-Version is missing; it must be 13."
        case .versionUnsupported: "The header Sec-WebSocket-Version must be 13, once."
        case .keyMissing: "The header Sec-WebSocket-Key is missing."
        case .keyRepeated: "The header Sec-WebSocket-Key must come once."
        case .keyMalformed: "The header Sec-WebSocket-Key must be the base 64 of 16 bytes."
        }
    }

    /// What most often takes these headers away.
    private static let proxyHint = "A proxy in between must pass Upgrade and Connection on, over HTTP/1.1."
}

extension HandshakeError: ProblemConvertible {
    /// 426 when no WebSocket of version 13 was asked for, with what RFC 9110 §15.5.22 and RFC 6455 §4.4 want in the
    /// answer; 405 for the method; 400 for a bad key.
    package var problem: Problem {
        switch self {
        case .methodNotGET:
            Problem(405, .methodNotAllowed, detail, headers: [Problem.Header("Allow", "GET")])
        case .upgradeMissing, .upgradeNotWebSocket, .connectionMissing, .connectionNotUpgrade, .httpVersionTooOld,
            .versionMissing, .versionUnsupported:
            Problem(
                426,
                .upgradeRequired,
                detail,
                headers: [
                    Problem.Header("Upgrade", "websocket"), Problem.Header("Connection", "Upgrade"),
                    Problem.Header("Sec-WebSocket-Version", Handshake.version),
                ]
            )
        case .keyMissing, .keyRepeated, .keyMalformed: .badRequest(detail)
        }
    }
}

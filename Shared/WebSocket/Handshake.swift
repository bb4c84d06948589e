package import Core
internal import Crypto

/// The server's half of the opening handshake (RFC 6455 §4.2), on plain values.
package enum Handshake {
    /// The one version there is (§4.1).
    package static let version = "13"

    /// Checks a request that should open a WebSocket.
    ///
    /// - Parameters:
    ///   - method: The request's method, `GET`.
    ///   - isHTTP11: Whether the request's version is HTTP/1.1 or later of 1.
    ///   - header: The values of the header field with a name (case-insensitive), one for each line.
    /// - Returns: The value of the answer's `Sec-WebSocket-Accept`.
    /// - Throws: `HandshakeError`, the first thing that is missing or wrong.
    package static func check(
        method: String,
        isHTTP11: Bool,
        header: (String) -> [String]
    ) throws(HandshakeError) -> String {
        guard method == "GET" else { throw .methodNotGET }
        let upgrade = header("Upgrade")
        guard !upgrade.isEmpty else { throw .upgradeMissing }
        guard hasToken("websocket", in: upgrade) else { throw .upgradeNotWebSocket }
        let connection = header("Connection")
        guard !connection.isEmpty else { throw .connectionMissing }
        guard hasToken("upgrade", in: connection) else { throw .connectionNotUpgrade }
        guard isHTTP11 else { throw .httpVersionTooOld }
        let versions = header("Sec-WebSocket-Version")
        guard !versions.isEmpty else { throw .versionMissing }
        guard versions.count == 1, versions[0].hasBytes(of: version) else { throw .versionUnsupported }
        let keys = header("Sec-WebSocket-Key")
        guard let key = keys.first else { throw .keyMissing }
        guard keys.count == 1 else { throw .keyRepeated }
        guard let bytes = try? Base64.decode(key), bytes.count == keyLength else { throw .keyMalformed }
        return acceptValue(forKey: key)
    }

    /// The proof that a key was understood (§4.2.2): base 64 of SHA-1 of the key and a fixed text.
    package static func acceptValue(forKey key: String) -> String {
        Base64.encode(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    /// The header fields of the answer 101.
    package static func responseHeaders(accept: String) -> [Problem.Header] {
        [
            Problem.Header("Upgrade", "websocket"), Problem.Header("Connection", "Upgrade"),
            Problem.Header("Sec-WebSocket-Accept", accept),
        ]
    }

    /// A fresh key for a client's request.
    package static func makeKey() -> String {
        Base64.encode(SecureRandom.bytes(keyLength))
    }

    // MARK: - Parts

    /// Bytes in a key before base 64 (§4.1).
    private static let keyLength = 16

    /// Whether a comma-separated list over several lines has `token`, in any case (RFC 9110 §5.6.1).
    private static func hasToken(_ token: String, in values: [String]) -> Bool {
        // A line that is not ASCII is no list of tokens, and its `Character`s take long to compare.
        values.filter(\.isASCII).contains { value in
            value.split(separator: ",").contains { element in
                var element = element
                while let first = element.first, first == " " || first == "\t" { element.removeFirst() }
                while let last = element.last, last == " " || last == "\t" { element.removeLast() }
                return element.lowercased() == token
            }
        }
    }
}

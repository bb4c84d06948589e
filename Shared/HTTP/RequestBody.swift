import Core

/// Where a body's bytes come from.
///
/// The connection implements it: not calling `next()` stops reading from the
/// socket, which is the back-pressure.
package protocol BodySource: AnyObject, Sendable {
    /// The next bytes, never an empty array; `nil` at the end.
    ///
    /// - Throws: A `Problem` when the body is broken, too slow (408) or over the limit (413).
    func next() async throws -> [UInt8]?
}

/// A request's body: read once, in pieces or whole.
package struct RequestBody: Sendable {
    private enum Storage {
        case bytes([UInt8])
        case source(any BodySource)
    }

    private let storage: Storage
    /// What `Content-Length` announced; `nil` for a chunked body.
    package let announcedLength: Int?

    package static let empty = RequestBody([])

    package init(_ bytes: [UInt8]) {
        storage = .bytes(bytes)
        announcedLength = bytes.count
    }

    package init(_ source: any BodySource, announcedLength: Int?) {
        storage = .source(source)
        self.announcedLength = announcedLength
    }

    /// Every byte, when all of them have come with the head; `nil` when they must be waited for.
    package var whole: [UInt8]? { if case .bytes(let bytes) = storage { bytes } else { nil } }

    /// Calls `consume` with each piece until the end.
    package func forEachChunk(_ consume: ([UInt8]) async throws -> Void) async throws {
        switch storage {
        case .bytes(let bytes):
            if !bytes.isEmpty { try await consume(bytes) }
        case .source(let source):
            while let piece = try await source.next() { try await consume(piece) }
        }
    }

    /// The whole body.
    ///
    /// - Parameter bytesMax: The most that is buffered.
    /// - Returns: Every byte of it.
    /// - Throws: `Problem` 413 `too_large` beyond `bytesMax`, before anything is read when the length is announced.
    package func collect(upTo bytesMax: Int) async throws -> [UInt8] {
        let tooLarge = Problem(413, .tooLarge, "body: at most \(bytesMax) bytes")
        if let announcedLength, announcedLength > bytesMax { throw tooLarge }
        if case .bytes(let bytes) = storage { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(announcedLength ?? 0)
        try await forEachChunk { piece in
            guard result.count + piece.count <= bytesMax else { throw tooLarge }
            result += piece
        }
        return result
    }
}

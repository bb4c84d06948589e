import Glibc

/// Bytes that have arrived and are not consumed yet, and where the search for the line's end goes on.
///
/// Owns no memory while empty. Whoever feeds it decides how much it may hold.
package struct InputBuffer: Sendable {
    private(set) var bytes: [UInt8] = []
    private(set) var start = 0
    /// No LF lies in `start..<scanned`, so that a line fed byte by byte is searched once, not once a byte.
    private var scanned = 0

    package init() {}

    /// How many bytes wait.
    package var count: Int { bytes.count - start }

    package var isEmpty: Bool { start == bytes.count }

    /// Adds bytes at the end.
    package mutating func append(_ new: UnsafeRawBufferPointer) {
        if start > 0 {
            bytes.removeSubrange(..<start)
            scanned -= start
            start = 0
        }
        bytes.append(contentsOf: new)
    }

    /// Drops everything.
    package mutating func removeAll() {
        bytes = []
        start = 0
        scanned = 0
    }

    /// At most `countMax` bytes from the front; not copied when that is all there is.
    package mutating func take(upTo countMax: Int) -> [UInt8] {
        if start == 0, countMax >= bytes.count {
            defer { removeAll() }
            return bytes
        }
        let end = start + min(countMax, count)
        let piece = Array(bytes[start..<end])
        consume(end - start)
        return piece
    }

    mutating func consume(_ count: Int) {
        start += count
        if start == bytes.count { removeAll() } else { scanned = max(scanned, start) }
    }

    var first: UInt8? { isEmpty ? nil : bytes[start] }

    /// Consumes the next line and gives `body` its bytes without the CRLF.
    ///
    /// - Parameters:
    ///   - bytesMax: The longest line accepted, without its CRLF.
    ///   - tooLong: What a longer one is refused with, as soon as it is certain.
    ///   - body: What to do with the line.
    /// - Returns: What `body` returned; `nil` when the line's end has not arrived.
    /// - Throws: `tooLong`, `.bareLineFeed`, or what `body` throws.
    mutating func takeLine<Result>(
        bytesMax: Int,
        tooLong: HTTPParseError,
        _ body: (UnsafeRawBufferPointer) throws(HTTPParseError) -> Result
    ) throws(HTTPParseError) -> Result? {
        guard let end = findLineFeed() else {
            // One more than the longest line: the last byte may be its CR.
            guard count <= bytesMax + 1 else { throw tooLong }
            return nil
        }
        let endsInCR = end > start && bytes[end - 1] == UInt8(ascii: "\r")
        let lineEnd = endsInCR ? end - 1 : end
        guard lineEnd - start <= bytesMax else { throw tooLong }
        guard endsInCR else { throw .bareLineFeed }
        let lineStart = start
        let outcome: Swift.Result<Result, HTTPParseError> = bytes.withUnsafeBytes { all in
            let line = UnsafeRawBufferPointer(rebasing: all[lineStart..<lineEnd])
            do throws(HTTPParseError) { return .success(try body(line)) } catch { return .failure(error) }
        }
        consume(end + 1 - start)
        return try outcome.get()
    }

    private mutating func findLineFeed() -> Int? {
        let from = scanned
        let found: Int? = bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress, from < all.count,
                let hit = memchr(base + from, Int32(UInt8(ascii: "\n")), all.count - from)
            else { return nil }
            return UnsafeRawPointer(hit) - base
        }
        if found == nil { scanned = bytes.count }
        return found
    }
}

import Net

/// Bytes that wait for a socket to take them, in a few segments so that large ones are not copied.
struct OutputQueue {
    private var segments: [[UInt8]] = []
    private var offset = 0
    /// Segments up to this size are put together: one `send` costs more than copying them.
    private static let coalescedBytesMax = 16 * 1024

    var isEmpty: Bool { segments.isEmpty }

    mutating func append(_ bytes: [UInt8]) {
        if bytes.isEmpty { return }
        if let last = segments.indices.last, segments[last].count + bytes.count <= Self.coalescedBytesMax {
            segments[last] += bytes
        } else {
            segments.append(bytes)
        }
    }

    /// Everything that waits; the queue is empty afterwards.
    mutating func takeAll() -> [UInt8] {
        defer { removeAll() }
        return Array(segments.joined().dropFirst(offset))
    }

    mutating func removeAll() {
        segments = []
        offset = 0
    }

    /// Writes until all is taken or the socket takes no more.
    ///
    /// - Parameter descriptor: A non-blocking socket.
    /// - Returns: `.bytes` with the count when all is written; else what stopped it and whether anything was taken.
    mutating func write(to descriptor: Int32) -> (outcome: Socket.Transfer, hasProgressed: Bool) {
        var written = 0
        while let first = segments.first {
            let outcome = first.withUnsafeBytes { bytes in
                Socket.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[offset...]))
            }
            guard case .bytes(let count) = outcome else { return (outcome, written > 0) }
            written += count
            offset += count
            if offset == first.count {
                segments.removeFirst()
                offset = 0
            }
        }
        return (.bytes(written), written > 0)
    }
}

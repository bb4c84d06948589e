import Storage

/// The body of a `multipart/byteranges` answer (RFC 9110 §14.6), read from the disk piece by piece.
actor RangesBody {
    /// The most that is read at once, in bytes.
    static let pieceBytes = 65_536

    private enum Piece {
        case text([UInt8])
        case file(Range<Int>)
    }

    private let executor: QueueExecutor
    private let blob: DescriptorOwner
    private var pieces: ArraySlice<Piece>
    /// The length of the whole body, in bytes.
    nonisolated let length: Int

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - ranges: What is sent, in this order.
    ///   - blob: The open file.
    ///   - size: The file's size in bytes.
    ///   - contentType: Of every part.
    ///   - boundary: Nothing that occurs in the file.
    ///   - executor: The disk thread.
    init(
        _ ranges: [Range<Int>],
        of blob: DescriptorOwner,
        size: Int,
        contentType: String,
        boundary: String,
        executor: QueueExecutor
    ) {
        var pieces: [Piece] = []
        for range in ranges {
            let head =
                "\r\n--\(boundary)\r\nContent-Type: \(contentType)\r\n"
                + "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)\r\n\r\n"
            pieces += [.text(Array(head.utf8)), .file(range)]
        }
        pieces.append(.text(Array("\r\n--\(boundary)--\r\n".utf8)))
        length = pieces.reduce(0) { sum, piece in
            switch piece {
            case .text(let bytes): sum + bytes.count
            case .file(let range): sum + range.count
            }
        }
        self.pieces = pieces[...]
        self.blob = blob
        self.executor = executor
    }

    /// The next bytes, `nil` at the end.
    ///
    /// - Throws: `FilesError.systemCall`, `.blobMissing` if the file is shorter than it was.
    func next() throws -> [UInt8]? {
        guard let piece = pieces.popFirst() else { return nil }
        switch piece {
        case .text(let bytes): return bytes
        case .file(let range):
            let bytes = try SystemCall.read(
                blob.descriptor,
                offset: range.lowerBound,
                count: min(range.count, Self.pieceBytes)
            )
            guard !bytes.isEmpty else { throw FilesError.blobMissing("a blob became shorter") }
            if bytes.count < range.count {
                pieces = [.file((range.lowerBound + bytes.count)..<range.upperBound)] + pieces
            }
            return bytes
        }
    }
}

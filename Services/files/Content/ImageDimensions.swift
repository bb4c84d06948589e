/// An image's width and height as it is to be shown, in pixels, read from its first bytes.
///
/// PNG, JPEG, GIF and WebP; others, and what is damaged or says 0, have none. Nothing is decoded.
struct ImageDimensions: Sendable, Equatable {
    /// How far into a file it is looked, in bytes.
    static let bytesMax = 1 << 20
    /// A JPEG's segments before the one with its size; real ones have some tens.
    static let segmentsMax = 1000

    /// Gives bytes of the file: from an offset so many, or fewer where the file ends.
    typealias Read = (_ offset: Int, _ count: Int) throws -> [UInt8]

    let width: Int
    let height: Int

    /// - Parameters:
    ///   - contentType: The file's type as it was found out from its content.
    ///   - read: Its bytes.
    /// - Throws: What `read` throws.
    init?(contentType: String, read: Read) rethrows {
        switch contentType {
        case "image/png": self.init(png: Bytes(try read(0, 24)))
        case "image/gif": self.init(gif: Bytes(try read(0, 10)))
        case "image/webp": self.init(webp: Bytes(try read(0, 30)))
        case "image/jpeg": try self.init(jpeg: read)
        default: return nil
        }
    }

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    private init?(width: Int?, height: Int?) {
        guard let width, let height, width > 0, height > 0, width <= Int32.max, height <= Int32.max else { return nil }
        self.width = width
        self.height = height
    }

    // MARK: - PNG, GIF, WebP

    /// W3C PNG §11.2.1: `IHDR` is the first chunk.
    private init?(png bytes: Bytes) {
        guard bytes.has("\u{0}\u{0}\u{0}\u{D}IHDR", at: 8) else { return nil }
        self.init(width: bytes.big(16, 4), height: bytes.big(20, 4))
    }

    /// GIF89a §18: the logical screen, which browsers take for the image's size.
    private init?(gif bytes: Bytes) {
        guard bytes.has("GIF8", at: 0) else { return nil }
        self.init(width: bytes.little(6, 2), height: bytes.little(8, 2))
    }

    /// RFC 9649 §2.5 to §2.7 (lossy: RFC 6386 §9.1).
    private init?(webp bytes: Bytes) {
        guard bytes.has("RIFF", at: 0), bytes.has("WEBP", at: 8) else { return nil }
        if bytes.has("VP8X", at: 12), let width = bytes.little(24, 3), let height = bytes.little(27, 3) {
            self.init(width: width + 1, height: height + 1)
        } else if bytes.has("VP8L", at: 12), bytes.little(20, 1) == 0x2F, let bits = bytes.little(21, 4) {
            self.init(width: (bits & 0x3FFF) + 1, height: (bits >> 14 & 0x3FFF) + 1)
        } else if bytes.has("VP8 ", at: 12), bytes.big(23, 3) == 0x9D012A {
            // Two bits of scaling stand above each.
            self.init(width: bytes.little(26, 2).map { $0 & 0x3FFF }, height: bytes.little(28, 2).map { $0 & 0x3FFF })
        } else {
            return nil
        }
    }

    // MARK: - JPEG

    /// ITU T.81 §B.2: from segment to segment to the frame header, with the orientation of an Exif segment before.
    private init?(jpeg read: Read) rethrows {
        guard Bytes(try read(0, 2)).big(0, 2) == 0xFFD8 else { return nil }
        var offset = 2
        var isTurned: Bool?
        for _ in 0..<Self.segmentsMax {
            guard offset < Self.bytesMax else { return nil }
            let head = Bytes(try read(offset, 9))
            guard head.big(0, 1) == 0xFF, let marker = head.big(1, 1) else { return nil }
            // Any marker may be preceded by fill bytes.
            if marker == 0xFF {
                offset += 1
                continue
            }
            guard let length = head.big(2, 2), length >= 2 else { return nil }
            switch marker {
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                guard length >= 8, let height = head.big(5, 2), let width = head.big(7, 2) else { return nil }
                let isTurned = isTurned ?? false
                self.init(width: isTurned ? height : width, height: isTurned ? width : height)
                return
            case 0xE1 where isTurned == nil:
                isTurned = Self.isTurned(exif: Bytes(try read(offset + 4, length - 2)))
            // Data or the end, before any frame header.
            case 0x00, 0x01, 0xD0...0xDA: return nil
            default: break
            }
            offset += 2 + length
        }
        return nil
    }

    /// Whether an Exif segment says that the image is to be turned by a quarter (CIPA DC-008 §4.6.5, orientations 5 to
    /// 8); `nil` if it is none.
    private static func isTurned(exif bytes: Bytes) -> Bool? {
        guard bytes.has("Exif\u{0}\u{0}", at: 0) else { return nil }
        // Offsets count from here (TIFF 6.0 §2).
        let start = 6
        let isLittle: Bool
        if bytes.has("II*\u{0}", at: start) {
            isLittle = true
        } else if bytes.has("MM\u{0}*", at: start) {
            isLittle = false
        } else {
            return nil
        }
        func number(_ offset: Int, _ count: Int) -> Int? {
            isLittle ? bytes.little(offset, count) : bytes.big(offset, count)
        }
        guard let directory = number(start + 4, 4), let count = number(start + directory, 2) else { return nil }
        for index in 0..<count {
            let entry = start + directory + 2 + 12 * index
            guard let tag = number(entry, 2) else { return nil }
            // Orientation, one SHORT.
            guard tag == 0x0112 else { continue }
            guard number(entry + 2, 2) == 3, number(entry + 4, 4) == 1, let value = number(entry + 8, 2) else {
                return nil
            }
            return (5...8).contains(value)
        }
        return nil
    }
}

/// Numbers out of bytes that may end too soon.
private struct Bytes {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether the ASCII `text` stands at `offset`.
    func has(_ text: String, at offset: Int) -> Bool {
        bytes.dropFirst(offset).prefix(text.utf8.count).elementsEqual(text.utf8)
    }

    /// `count` bytes as a number, most significant first.
    func big(_ offset: Int, _ count: Int) -> Int? {
        slice(offset, count)?.reduce(0) { $0 << 8 | Int($1) }
    }

    /// `count` bytes as a number, least significant first.
    func little(_ offset: Int, _ count: Int) -> Int? {
        slice(offset, count)?.reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    private func slice(_ offset: Int, _ count: Int) -> ArraySlice<UInt8>? {
        offset <= bytes.count - count ? bytes[offset..<(offset + count)] : nil
    }
}

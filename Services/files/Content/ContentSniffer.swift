/// Tells a file's content type from its first bytes (WHATWG MIME Sniffing §6–§7, and what chats carry beside that).
///
/// The content decides, the sender's word is a hint: it picks among types that look alike in their first bytes (the
/// audio in an MP4 or WebM container, the kinds of plain text, Office documents in a ZIP), and only from the lists
/// here.
enum ContentSniffer {
    /// How much of a file's beginning is looked at, in bytes; the standard's "resource header".
    static let headBytesMax = 1445

    /// - Parameters:
    ///   - head: The file's first bytes, at least `headBytesMax` of them if it has as many.
    ///   - declared: What the sender says it is.
    /// - Returns: A media type without parameters.
    static func contentType(of head: [UInt8], declared: String) -> String {
        let head = head.prefix(headBytesMax)
        let hint = MediaType.essence(declared).map { aliases[$0] ?? $0 }
        if let markup = MarkupSniffer.contentType(of: head) { return markup }
        let sniffed = signature(of: head) ?? container(of: head) ?? AudioFrameSniffer.contentType(of: head)
        if let sniffed {
            if let hint, alternatives[sniffed]?.contains(hint) == true { return hint }
            return sniffed
        }
        if isText(head) {
            if let hint, textTypes.contains(hint) { return hint }
            return "text/plain"
        }
        if let hint, unrecognisableTypes.contains(hint) { return hint }
        return MediaType.unknown
    }

    // MARK: - Hints

    /// What a sniffed type may be instead, if the sender says so.
    private static let alternatives: [String: Set<String>] = [
        "video/mp4": ["audio/mp4", "audio/aac", "video/quicktime", "video/3gpp", "audio/3gpp"],
        "video/3gpp": ["audio/3gpp"],
        "video/webm": ["audio/webm"],
        "video/x-matroska": ["audio/x-matroska", "video/webm", "audio/webm"],
        "application/ogg": ["audio/ogg", "video/ogg"],
        "application/zip": [
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/vnd.oasis.opendocument.presentation",
            "application/epub+zip",
        ],
        "application/x-ole-storage": [
            "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
        ],
    ]

    /// Kinds of text that no browser runs.
    private static let textTypes: Set<String> = [
        "text/plain", "text/csv", "text/markdown", "text/vcard", "text/calendar", "application/json",
    ]

    /// Kinds whose first bytes do not give them away.
    private static let unrecognisableTypes: Set<String> = ["audio/mpeg", "audio/aac", "video/mpeg", "video/mp2t"]

    private static let aliases: [String: String] = [
        "audio/m4a": "audio/mp4", "audio/x-m4a": "audio/mp4", "audio/mp3": "audio/mpeg", "audio/x-mp3": "audio/mpeg",
        "audio/x-aac": "audio/aac", "text/x-markdown": "text/markdown", "application/csv": "text/csv",
    ]

    // MARK: - Signatures

    private struct Signature {
        let pattern: [UInt8?]
        let contentType: String

        /// - Parameter pattern: ASCII; `?` stands for any byte.
        init(_ pattern: String, _ contentType: String) {
            self.pattern = pattern.utf8.map { $0 == UInt8(ascii: "?") ? nil : $0 }
            self.contentType = contentType
        }

        init(_ pattern: [UInt8], _ contentType: String) {
            self.pattern = pattern
            self.contentType = contentType
        }

        func matches(_ head: ArraySlice<UInt8>) -> Bool {
            head.count >= pattern.count && zip(pattern, head).allSatisfy { $0 == nil || $0 == $1 }
        }
    }

    private static let signatures: [Signature] = [
        Signature([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png"),
        Signature([0xFF, 0xD8, 0xFF], "image/jpeg"),
        Signature("GIF87a", "image/gif"),
        Signature("GIF89a", "image/gif"),
        Signature("RIFF????WEBPVP", "image/webp"),
        Signature([0x00, 0x00, 0x01, 0x00], "image/x-icon"),
        Signature([0x00, 0x00, 0x02, 0x00], "image/x-icon"),
        Signature([0x49, 0x49, 0x2A, 0x00], "image/tiff"),
        Signature([0x4D, 0x4D, 0x00, 0x2A], "image/tiff"),
        Signature("RIFF????WAVE", "audio/wav"),
        Signature("RIFF????AVI ", "video/x-msvideo"),
        Signature("FORM????AIFF", "audio/aiff"),
        Signature("fLaC", "audio/flac"),
        Signature("ID3", "audio/mpeg"),
        Signature("#!AMR\n", "audio/amr"),
        Signature("#!AMR-WB\n", "audio/amr-wb"),
        Signature(Array("MThd".utf8) + [0, 0, 0, 6], "audio/midi"),
        Signature("%PDF-", "application/pdf"),
        Signature("%!PS-Adobe-", "application/postscript"),
        Signature("{\\rtf", "application/rtf"),
        Signature([0x50, 0x4B, 0x03, 0x04], "application/zip"),
        Signature([0x50, 0x4B, 0x05, 0x06], "application/zip"),
        Signature([0x1F, 0x8B, 0x08], "application/gzip"),
        Signature(Array("Rar!".utf8) + [0x1A, 0x07], "application/vnd.rar"),
        Signature([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "application/x-7z-compressed"),
        Signature([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "application/x-ole-storage"),
    ]

    private static func signature(of head: ArraySlice<UInt8>) -> String? {
        if let match = signatures.first(where: { $0.matches(head) }) { return match.contentType }
        // "BM" alone also begins many a text; the file header's reserved bytes are zero.
        let bytes = Array(head.prefix(14))
        let isBitmap = bytes.count == 14 && bytes.starts(with: "BM".utf8) && bytes[6..<10].allSatisfy { $0 == 0 }
        return isBitmap ? "image/bmp" : nil
    }

    // MARK: - Containers

    private static func container(of head: ArraySlice<UInt8>) -> String? {
        let bytes = Array(head)
        if bytes.count >= 12, bytes[4..<8].elementsEqual("ftyp".utf8) {
            return baseMedia(brand: String(decoding: bytes[8..<12], as: UTF8.self))
        }
        if bytes.starts(with: [0x1A, 0x45, 0xDF, 0xA3]) {
            let header = bytes.prefix(64)
            if contains(header, "webm") { return "video/webm" }
            return contains(header, "matroska") ? "video/x-matroska" : nil
        }
        if bytes.starts(with: "OggS\0".utf8) {
            let page = bytes.prefix(128)
            if contains(page, "theora") { return "video/ogg" }
            let hasAudio = ["OpusHead", "vorbis", "Speex", "FLAC"].contains { contains(page, $0) }
            return hasAudio ? "audio/ogg" : "application/ogg"
        }
        return nil
    }

    /// ISO base media files: MP4 and its family, told apart by the major brand.
    private static func baseMedia(brand: String) -> String {
        switch brand {
        case "M4A ", "M4B ", "M4P ": "audio/mp4"
        case "qt  ": "video/quicktime"
        case "avif", "avis": "image/avif"
        case "heic", "heix", "heim", "heis", "hevc", "hevx": "image/heic"
        case "mif1", "msf1": "image/heif"
        default: brand.hasPrefix("3g") ? "video/3gpp" : "video/mp4"
        }
    }

    private static func contains(_ bytes: ArraySlice<UInt8>, _ word: String) -> Bool {
        let word = Array(word.utf8)
        guard bytes.count >= word.count else { return false }
        return (bytes.startIndex...(bytes.endIndex - word.count)).contains { start in
            bytes[start..<(start + word.count)].elementsEqual(word)
        }
    }

    /// Whether no byte of `head` is a "binary data byte" (WHATWG §3), or a byte order mark says that it is text.
    private static func isText(_ head: ArraySlice<UInt8>) -> Bool {
        if head.starts(with: [0xFE, 0xFF]) || head.starts(with: [0xFF, 0xFE]) { return true }
        return head.allSatisfy { byte in
            switch byte {
            case 0...0x08, 0x0B, 0x0E...0x1A, 0x1C...0x1F: false
            default: true
            }
        }
    }
}

import Contracts
import Testing

@testable import FilesService

@Suite("Content sniffer (WHATWG MIME Sniffing)")
struct ContentSnifferTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let head: [UInt8]
        let declared: String
        let expected: String

        init(_ head: [UInt8], _ expected: String, declared: String = "") {
            self.head = head
            self.declared = declared
            self.expected = expected
        }

        init(_ head: String, _ expected: String, declared: String = "") {
            self.init(Array(head.utf8), expected, declared: declared)
        }

        var testDescription: String { "\(expected) (\(declared)) \(head.prefix(12))" }
    }

    static func box(_ brand: String) -> [UInt8] { [0, 0, 0, 0x18] + Array(("ftyp" + brand).utf8) + [0, 0, 2, 0] }

    static func riff(_ form: String) -> [UInt8] { Array("RIFF".utf8) + [1, 2, 3, 4] + Array(form.utf8) }

    static func ogg(_ codec: String) -> [UInt8] {
        Array("OggS".utf8) + [UInt8](repeating: 0, count: 24) + Array(codec.utf8)
    }

    static func ebml(_ documentType: String) -> [UInt8] {
        [0x1A, 0x45, 0xDF, 0xA3, 0x9F, 0x42, 0x86, 0x81, 0x01, 0x42, 0x82, 0x84] + Array(documentType.utf8)
    }

    /// Two frames of MPEG 1 layer 3, 128 kbit/s, 44.1 kHz: 417 bytes each.
    static let mp3: [UInt8] = {
        let frame: [UInt8] = [0xFF, 0xFB, 0x90, 0x00] + [UInt8](repeating: 0, count: 413)
        return frame + frame
    }()

    /// Two ADTS frames of 16 bytes.
    static let aac: [UInt8] = {
        let frame: [UInt8] = [0xFF, 0xF1, 0x50, 0x80, 0x02, 0x1F, 0xFC] + [UInt8](repeating: 1, count: 9)
        return frame + frame
    }()

    static let signatures: [Case] = [
        Case([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png"),
        Case([0xFF, 0xD8, 0xFF, 0xE0], "image/jpeg"), Case([0xFF, 0xD8], "text/plain"),
        Case("GIF87a", "image/gif"), Case("GIF89a", "image/gif"), Case("GIF88a", "text/plain"),
        Case(riff("WEBPVP8 "), "image/webp"),
        Case(riff("WAVEfmt "), "audio/wav"), Case(riff("AVI LIST"), "video/x-msvideo"),
        Case(riff("ACON"), "application/octet-stream"),
        Case(Array("BM".utf8) + [0x46, 0, 0, 0, 0, 0, 0, 0, 0x36, 0, 0, 0], "image/bmp"),
        Case("BMW drives on", "text/plain"), Case([0, 0, 1, 0, 1], "image/x-icon"),
        Case([0x49, 0x49, 0x2A, 0], "image/tiff"), Case([0x4D, 0x4D, 0, 0x2A], "image/tiff"),
        Case(box("mp42"), "video/mp4"), Case(box("isom"), "video/mp4"), Case(box("M4A "), "audio/mp4"),
        Case(box("qt  "), "video/quicktime"), Case(box("3gp4"), "video/3gpp"), Case(box("avif"), "image/avif"),
        Case(box("heic"), "image/heic"), Case(ebml("webm"), "video/webm"), Case(ebml("matroska"), "video/x-matroska"),
        Case(ogg("OpusHead"), "audio/ogg"), Case(ogg("\u{1}vorbis"), "audio/ogg"), Case(ogg("?theora"), "video/ogg"),
        Case(ogg("unknown"), "application/ogg"), Case("ID3\u{3}", "audio/mpeg"), Case(mp3, "audio/mpeg"),
        Case(Array(mp3.prefix(417)), "application/octet-stream"), Case(aac, "audio/aac"), Case("fLaC\0", "audio/flac"),
        Case("#!AMR\n", "audio/amr"), Case("#!AMR-WB\n", "audio/amr-wb"), Case("%PDF-1.7", "application/pdf"),
        Case([0x50, 0x4B, 3, 4], "application/zip"), Case([0x1F, 0x8B, 8], "application/gzip"),
        Case(Array("Rar!".utf8) + [0x1A, 7, 0], "application/vnd.rar"),
        Case([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "application/x-7z-compressed"),
        Case("MZ\u{90}\0\u{3}", "application/octet-stream"), Case("\u{7F}ELF\u{2}", "application/octet-stream"),
    ]

    static let texts: [Case] = [
        Case("hello", "text/plain"), Case("中文", "text/plain"), Case([0xFF, 0xFE, 0x41, 0], "text/plain"),
        Case("a\u{1B}[0m", "text/plain"), Case("a\u{0}b", "application/octet-stream"),
        Case("a,b\n1,2", "text/csv", declared: "text/csv"),
        Case("{}", "application/json", declared: "application/json"),
        Case("alert(1)", "text/plain", declared: "text/javascript"), Case("p{}", "text/plain", declared: "text/css"),
        Case("hello", "text/plain", declared: "text/html"), Case("hello", "text/plain", declared: "image/png"),
        Case("<!DOCTYPE HTML>", "text/html"), Case(" \n<html lang=en>", "text/html"), Case("<script>", "text/html"),
        Case("\u{FEFF}<HTML>", "text/html"), Case("<!-- x -->", "text/html"), Case("<bold", "text/plain"),
        Case("<b>", "text/html"), Case("<svg xmlns='x'>", "image/svg+xml"),
        Case("<?xml version='1.0'?><x/>", "text/xml"),
        Case("<?xml version='1.0'?>\n<!-- x -->\n<SVG >", "image/svg+xml"), Case("<!-- x --><svg/>", "image/svg+xml"),
        Case("<svg>", "image/svg+xml", declared: "image/png"), Case("<html>", "text/html", declared: "text/plain"),
    ]

    static let hints: [Case] = [
        Case([0xFF, 0xD8, 0xFF], "image/jpeg", declared: "text/html"),
        Case(box("isom"), "audio/mp4", declared: "audio/x-m4a"), Case(box("isom"), "video/mp4", declared: "image/png"),
        Case(ebml("webm"), "audio/webm", declared: "audio/webm;codecs=opus"),
        Case(ogg("?"), "audio/ogg", declared: "Audio/Ogg"),
        Case(
            [0x50, 0x4B, 3, 4],
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            declared: "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        ),
        Case([0x50, 0x4B, 3, 4], "application/zip", declared: "text/html"),
        Case([0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "application/msword", declared: "application/msword"),
        Case([0, 1, 2], "audio/mpeg", declared: "audio/mp3"),
        Case([0, 1, 2], "application/octet-stream", declared: "image/png"),
        Case([0, 1, 2], "application/octet-stream", declared: "text/html"),
        Case([0, 1], "application/octet-stream", declared: "Image"),
    ]

    @Test("knows each format by its first bytes", arguments: signatures)
    func signature(_ example: Case) {
        #expect(ContentSniffer.contentType(of: example.head, declared: example.declared) == example.expected)
    }

    @Test("tells text, and markup that a browser could run, whatever is declared", arguments: texts)
    func text(_ example: Case) {
        #expect(ContentSniffer.contentType(of: example.head, declared: example.declared) == example.expected)
    }

    @Test("takes the declared type only as a hint among look-alikes", arguments: hints)
    func hint(_ example: Case) {
        #expect(ContentSniffer.contentType(of: example.head, declared: example.declared) == example.expected)
    }

    @Test("never looks past the head")
    func headOnly() {
        let long = [UInt8](repeating: UInt8(ascii: "a"), count: ContentSniffer.headBytesMax)
        #expect(ContentSniffer.contentType(of: long + [0], declared: "") == "text/plain")
        #expect(ContentSniffer.contentType(of: long.dropLast() + [0], declared: "") == "application/octet-stream")
    }

    @Test(
        "derives the kind from the content type",
        arguments: [
            ("image/png", FileType.image), ("image/svg+xml", .file), ("video/mp4", .video), ("audio/ogg", .voice),
            ("application/pdf", .file), ("text/html", .file), ("application/ogg", .file),
        ]
    )
    func kind(_ contentType: String, _ expected: FileType) {
        #expect(FileType(contentType: contentType) == expected)
    }
}

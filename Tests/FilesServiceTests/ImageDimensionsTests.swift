import Contracts
import Core
import Crypto
import HTTP
import TestSupport
import Testing

@testable import FilesService

/// The parts of images that hold their size.
enum ImageBytes {
    static func hex(_ text: String) -> [UInt8] {
        let digits = text.filter { $0 != " " }.utf8.map { UInt8(String(UnicodeScalar($0)), radix: 16) ?? 0 }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static func big(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static func png(_ width: Int, _ height: Int) -> [UInt8] {
        hex("89504E470D0A1A0A 0000000D") + Array("IHDR".utf8) + big(width, 4) + big(height, 4) + hex("0802000000")
    }

    static func gif(_ width: Int, _ height: Int) -> [UInt8] {
        Array("GIF89a".utf8) + big(width, 2).reversed() + big(height, 2).reversed() + [0, 0, 0]
    }

    static func segment(_ marker: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0xFF, marker] + big(payload.count + 2, 2) + payload
    }

    static func frame(_ marker: UInt8, _ width: Int, _ height: Int) -> [UInt8] {
        segment(marker, [8] + big(height, 2) + big(width, 2) + [1, 1, 0x11, 0])
    }

    static func jpeg(_ segments: [UInt8]...) -> [UInt8] {
        [0xFF, 0xD8] + segments.joined() + segment(0xDA, [1, 1, 0, 0, 63, 0]) + [0xFF, 0xD9]
    }

    /// An Exif segment with one other entry before the orientation.
    static func exif(orientation: Int, isLittle: Bool = false) -> [UInt8] {
        func number(_ value: Int, _ count: Int) -> [UInt8] {
            isLittle ? big(value, count).reversed() : big(value, count)
        }
        let entries =
            number(0x010F, 2) + number(2, 2) + number(4, 4) + Array("abc\0".utf8)
            + number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + [0, 0]
        let directory = number(2, 2) + entries + number(0, 4)
        return segment(0xE1, Array((isLittle ? "Exif\0\0II*\0" : "Exif\0\0MM\0*").utf8) + number(8, 4) + directory)
    }
}

@Suite("Image dimensions")
struct ImageDimensionsTests {
    private func read(_ bytes: [UInt8], _ contentType: String) -> ImageDimensions? {
        ImageDimensions(contentType: contentType) { offset, count in
            Array(bytes.dropFirst(offset).prefix(count))
        }
    }

    /// As `640x480`.
    private func size(_ bytes: [UInt8], _ contentType: String) -> String? {
        read(bytes, contentType).map { "\($0.width)x\($0.height)" }
    }

    @Test("reads PNG and GIF")
    func simple() {
        #expect(size(ImageBytes.png(640, 480), "image/png") == "640x480")
        #expect(size(ImageBytes.png(0x7FFF_FFFF, 1), "image/png") == "2147483647x1")
        #expect(size(ImageBytes.png(0x8000_0000, 1), "image/png") == nil)
        #expect(size(ImageBytes.png(0, 480), "image/png") == nil)
        #expect(size(ImageBytes.gif(65_535, 258), "image/gif") == "65535x258")
        #expect(size(ImageBytes.gif(10, 0), "image/gif") == nil)
    }

    @Test("reads the three kinds of WebP")
    func webp() {
        let lossy = "52494646bc000000574542505650 3820b0000000b010009d012a2c01c8003fcd"
        let lossless = "5249464624000000574542505650384c180000002f2bc131000750e42ad4a3ff"
        let extended = "524946460201000057454250565038580a000000080000002b0100c700005650"
        for text in [lossy, lossless, extended] {
            let bytes = ImageBytes.hex(text)
            #expect(size(bytes, "image/webp") == "300x200")
            #expect(size(Array(bytes.prefix(24)), "image/webp") == nil)
        }
        // Two bits of scaling are no part of the size; another start code is no key frame.
        #expect(size(ImageBytes.hex(lossy.replacing("2c01c800", with: "2cc1c880")), "image/webp") == "300x200")
        #expect(size(ImageBytes.hex(lossy.replacing("9d012a", with: "9d012b")), "image/webp") == nil)
        #expect(size(ImageBytes.hex(lossless.replacing("002f2b", with: "002e2b")), "image/webp") == nil)
    }

    @Test("reads a JPEG's frame header of any kind, behind other segments")
    func jpegFrames() {
        for marker in UInt8(0xC0)...0xCF {
            let isFrame = ![0xC4, 0xC8, 0xCC].contains(marker)
            let bytes = ImageBytes.jpeg(
                ImageBytes.segment(0xE0, Array("JFIF\0".utf8)),
                ImageBytes.segment(0xFE, [UInt8](repeating: 0xFF, count: 999)),
                [0xFF, 0xFF],
                ImageBytes.frame(marker, 640, 480)
            )
            #expect(size(bytes, "image/jpeg") == (isFrame ? "640x480" : nil), "\(marker)")
        }
    }

    @Test("turns a JPEG's size as its Exif orientation says", arguments: [false, true])
    func orientation(_ isLittle: Bool) {
        for orientation in 0...9 {
            let exif = ImageBytes.exif(orientation: orientation, isLittle: isLittle)
            let bytes = ImageBytes.jpeg(exif, ImageBytes.frame(0xC2, 640, 480))
            #expect(size(bytes, "image/jpeg") == ((5...8).contains(orientation) ? "480x640" : "640x480"))
            // Another APP1 before it, such as XMP, is none.
            let xmp = ImageBytes.segment(0xE1, Array("http://ns.adobe.com/xap/1.0/\0".utf8))
            #expect(
                size(ImageBytes.jpeg(xmp, exif, ImageBytes.frame(0xC0, 2, 1)), "image/jpeg")?.first
                    == ((5...8).contains(orientation) ? "1" : "2")
            )
        }
    }

    @Test("a damaged Exif segment turns nothing and hides nothing")
    func damagedExif() {
        let exif = ImageBytes.exif(orientation: 6)
        for length in 0..<(exif.count - 4) {
            let cut = ImageBytes.segment(0xE1, Array(exif.dropFirst(4).prefix(length)))
            let size = size(ImageBytes.jpeg(cut, ImageBytes.frame(0xC0, 640, 480)), "image/jpeg")
            #expect(size == (length >= 38 ? "480x640" : "640x480"), "\(length)")
        }
    }

    @Test("looks no further into a JPEG than its limits")
    func limits() {
        func bytes(before segments: Int, of length: Int) -> [UInt8] {
            let filler = ImageBytes.segment(0xE2, [UInt8](repeating: 0, count: length))
            return [0xFF, 0xD8] + [[UInt8]](repeating: filler, count: segments).joined()
                + ImageBytes.frame(0xC0, 640, 480)
        }
        #expect(size(bytes(before: ImageDimensions.segmentsMax - 1, of: 2), "image/jpeg") == "640x480")
        #expect(size(bytes(before: ImageDimensions.segmentsMax, of: 2), "image/jpeg") == nil)
        #expect(size(bytes(before: 15, of: 65_533), "image/jpeg") == "640x480")
        #expect(size(bytes(before: 16, of: 65_533), "image/jpeg") == nil)
    }

    @Test("what is cut short, of another type or damaged has no size and does no harm")
    func damaged() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        let samples = [
            ("image/png", ImageBytes.png(640, 480)), ("image/gif", ImageBytes.gif(640, 480)),
            ("image/jpeg", ImageBytes.jpeg(ImageBytes.exif(orientation: 6), ImageBytes.frame(0xC0, 640, 480))),
            ("image/webp", ImageBytes.hex("524946460201000057454250565038580a000000080000002b0100c700005650")),
        ]
        for (contentType, bytes) in samples {
            #expect(size(bytes, contentType) != nil)
            #expect(size(bytes, "image/bmp") == nil)
            #expect(size([], contentType) == nil)
            #expect(size(Array(bytes.prefix(9)), contentType) == nil)
            for _ in 0..<2000 {
                var bytes = bytes
                for _ in 0..<3 {
                    bytes[generator.next(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
                }
                guard let found = read(bytes, contentType) else { continue }
                #expect(found.width > 0 && found.height > 0, "seed \(seed)")
            }
        }
    }

    @Test("stand in the document of an image, by form and base64, and in no other's")
    func documents() async throws {
        let fixture = try await FilesFixture()
        let image = ImageBytes.jpeg(ImageBytes.exif(orientation: 8), ImageBytes.frame(0xC0, 640, 480))
        let document = try await fixture.stored(image)
        #expect(document.width == 480 && document.height == 640)
        let again = try await fixture.document(await fixture.send(.get, "/api/files/\(document.fileID)"))
        #expect(again == document)
        let text = await fixture.upload(Array("hello".utf8), name: "a.txt")
        #expect(!String(decoding: try await fixture.bytes(of: text), as: UTF8.self).contains("width"))
        let damaged = try await fixture.stored(jpeg)
        #expect(damaged.fileType == .image && damaged.width == nil && damaged.height == nil)
    }
}

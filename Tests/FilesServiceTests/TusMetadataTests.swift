import Core
import TestSupport
import Testing

@testable import FilesService

@Suite("tus: metadata and checksums")
struct TusMetadataTests {
    private func refusal(_ text: String) -> String? {
        do throws(Problem) {
            _ = try TusMetadata(text)
            return nil
        } catch {
            return error.status == 400 ? error.detail : "status \(error.status)"
        }
    }

    @Test("reads name and type, in any order, beside keys that it does not know")
    func read() throws {
        let both = UploadDocument(fileName: "图片.jpg", declaredType: "image/jpeg")
        let name = "filename 5Zu+54mHLmpwZw=="
        let type = "filetype aW1hZ2UvanBlZw=="
        for text in [
            "\(name),\(type)", "\(type),\(name)", "a,\(name),b ,\(type),relativePath bnVsbA==", "\(name), \(type)",
        ] {
            let metadata = try TusMetadata(text)
            #expect(metadata.document == both, "\(text)")
            #expect(metadata.text == text)
        }
        for text in [nil, "", "other", "filetype"] {
            let metadata = try TusMetadata(text)
            #expect(metadata.document == UploadDocument(fileName: "file", declaredType: ""))
        }
    }

    @Test(
        "refuses what the protocol does not have",
        arguments: [
            ",", "a,", ",a", "a,,b", "a AA==,a AA==", "a,a", " ", "a b c", "a AA", "a A===", "a AA==AA==", "a \u{e9}",
            "\u{e9} AA==", "a\tAA==", "filename", "filename YS9i", "filename Lg==", "filename /w==", "filename AA==",
            "filetype /w==", "filetype Cg==",
        ]
    )
    func refused(_ text: String) {
        #expect(refusal(text)?.hasPrefix("Upload-Metadata: ") == true)
    }

    @Test("a value cut off anywhere, or with any byte changed, is read as the protocol says or refused with 400")
    func everySplit() throws {
        let text = "filename 5Zu+54mHLmpwZw==,filetype aW1hZ2UvanBlZw==,empty"
        let whole = Set([0...7, 27...35, 53...57].joined()).union([13, 17, 21, 25, 39, 43, 47, 51])
        for end in 0...text.utf8.count {
            #expect((refusal(String(text.prefix(end))) == nil) == whole.contains(end), "\(text.prefix(end))")
        }
        for index in text.utf8.indices {
            for byte in [UInt8(0x20), 0x2C, 0x3D, 0x21, 0x7F] {
                var bytes = Array(text.utf8)
                bytes[text.utf8.distance(from: text.utf8.startIndex, to: index)] = byte
                if let detail = refusal(String(decoding: bytes, as: UTF8.self)) {
                    #expect(detail.hasPrefix("Upload-Metadata: "))
                }
            }
        }
    }

    @Test("is at most 4096 bytes long")
    func length() {
        let longest = "a," + String(repeating: "b", count: TusMetadata.bytesMax - 2)
        #expect(refusal(longest) == nil)
        #expect(refusal(longest + "b") != nil)
        let type = base64([UInt8](repeating: UInt8(ascii: "x"), count: 255))
        #expect(refusal("filetype \(type)") == nil)
        #expect(refusal("filetype \(base64([UInt8](repeating: UInt8(ascii: "x"), count: 256)))") != nil)
    }

    @Test("a checksum is an algorithm, one space and a whole digest; cut off anywhere it is refused")
    func checksums() throws {
        for algorithm in ["sha1", "sha256"] {
            let text = checksum(algorithm, [1, 2, 3])
            let read = try TusChecksum(text)
            #expect(read.algorithm.rawValue == algorithm)
            for end in 0..<text.utf8.count {
                #expect(throws: Problem.self, "\(text.prefix(end))") { try TusChecksum(String(text.prefix(end))) }
            }
            var hasher = TusChecksum.Hasher(read.algorithm)
            for byte in [1, 2, 3] as [UInt8] { hasher.update([byte]) }
            #expect(hasher.digest() == read.digest)
        }
        let digest = checksum("sha1", []).dropFirst(5)
        for text in [
            "SHA1 \(digest)", "sha1  \(digest)", " sha1 \(digest)", "sha1 \(digest) ", "sha256 \(digest)",
            "md5 \(digest)", "sha1\u{301}\u{316} \(digest)", "sha1 \(digest)\u{301}",
        ] {
            #expect(throws: Problem.self, "\(text)") { try TusChecksum(text) }
        }
    }
}

import Core
import Foundation
import TestSupport
import Testing

@testable import FilesService

@Suite("Upload document decoder against Foundation's")
struct UploadDocumentDecoderFuzzTests {
    private struct Reference: Decodable {
        let file_name: String
        let file_type: String
        let file_data: String
    }

    @Test("whatever it accepts, Foundation's decoder accepts too and reads the same")
    func mutations() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        let original = Array(
            #"{"file_name":"\u00e9a.txt","n":[-1.5e3,{"k":null}],"file_type":"text\/plain","file_data":"QUJDREVGRw=="}"#
                .utf8
        )
        let alphabet = Array(#"{}[]:,"\/u0123456789abfeE+-.tn =QUJ"#.utf8) + [0x00, 0x0A, 0x7F, 0xC3, 0xA9, 0xFF]
        var acceptedCount = 0
        for _ in 0..<5000 {
            var text = original
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let index = Int.random(in: 0..<text.count, using: &generator)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: text[index] = byte
                case 1: text.insert(byte, at: index)
                default: text.remove(at: index)
                }
            }
            guard let result = decode(text) else { continue }
            acceptedCount += 1
            let shown = String(decoding: text, as: UTF8.self)
            let reference = try? JSONDecoder().decode(Reference.self, from: Data(text))
            #expect(reference?.file_name == result.document.fileName, "seed \(seed): \(shown)")
            #expect(reference?.file_type == result.document.declaredType, "seed \(seed): \(shown)")
            let data = reference.flatMap { Data(base64Encoded: $0.file_data) }
            #expect(data.map(Array.init) == result.bytes, "seed \(seed): \(shown)")
        }
        // Most changes within a string leave the document valid; none accepted would mean that nothing was compared.
        #expect(acceptedCount > 100, "seed \(seed)")
    }

    private func decode(_ text: [UInt8]) -> (document: UploadDocument, bytes: [UInt8])? {
        var decoder = UploadDocumentDecoder(fileBytesMax: 1000)
        var bytes: [UInt8] = []
        do throws(FilesError) {
            try decoder.feed(text, into: &bytes)
            return (try decoder.finish(), bytes)
        } catch {
            return nil
        }
    }
}

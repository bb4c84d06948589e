import Contracts
import Testing

@testable import FilesService

@Suite("Content-Disposition (RFC 6266, RFC 8187)")
struct ContentDispositionTests {
    @Test(
        "writes a name so that it cannot leave its quotes",
        arguments: [
            ("image.jpg", #"inline; filename="image.jpg""#),
            ("a b.txt", #"inline; filename="a b.txt""#),
            ("图.jpg", #"inline; filename="_.jpg"; filename*=UTF-8''%E5%9B%BE.jpg"#),
            (#"a";x=".htm"#, #"inline; filename="a_;x=_.htm"; filename*=UTF-8''a%22%3Bx%3D%22.htm"#),
            ("100%.txt", #"inline; filename="100_.txt"; filename*=UTF-8''100%25.txt"#),
            ("a'b*c(d)", #"inline; filename="a'b*c(d)""#),
            ("é'*.txt", #"inline; filename="_'*.txt"; filename*=UTF-8''%C3%A9%27%2A.txt"#),
        ]
    )
    func names(_ name: String, _ expected: String) {
        #expect(ContentDisposition.value(isInline: true, fileName: name) == expected)
    }

    @Test("offers for saving what is not shown")
    func attachment() {
        #expect(ContentDisposition.value(isInline: false, fileName: "a.pdf") == #"attachment; filename="a.pdf""#)
    }

    @Test(
        "shows pictures, sound and film, and nothing that could run",
        arguments: [
            ("image/png", true), ("audio/ogg", true), ("video/mp4", true), ("image/svg+xml", false),
            ("text/html", false), ("text/xml", false), ("text/plain", false), ("application/pdf", false),
            ("application/octet-stream", false),
        ]
    )
    func inline(_ contentType: String, _ expected: Bool) {
        #expect(FileType(contentType: contentType).isShownInline == expected)
    }
}

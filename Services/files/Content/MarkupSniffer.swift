/// Recognises what a browser could run as a page: HTML, SVG and other XML (WHATWG MIME Sniffing §7.1).
enum MarkupSniffer {
    private static let htmlTags = [
        "<!doctype html", "<html", "<head", "<script", "<iframe", "<h1", "<div", "<font", "<table", "<a", "<style",
        "<title", "<b", "<body", "<br", "<p", "<!--",
    ].map { Array($0.utf8) }

    /// The type of markup that `head` begins with, `nil` for anything else.
    static func contentType(of head: ArraySlice<UInt8>) -> String? {
        var rest = head
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        rest = rest.drop { [0x09, 0x0A, 0x0C, 0x0D, 0x20].contains($0) }
        guard rest.first == UInt8(ascii: "<") else { return nil }
        let lower = rest.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        let isXML = lower.starts(with: "<?xml".utf8)
        if isTag("<svg", at: lower) || lower.starts(with: "<!doctype svg".utf8) { return "image/svg+xml" }
        if isXML || lower.starts(with: "<!--".utf8), hasTag("<svg", in: lower) { return "image/svg+xml" }
        if isXML { return "text/xml" }
        return htmlTags.contains { isTag($0, at: lower) } ? "text/html" : nil
    }

    private static func isTag(_ tag: String, at text: [UInt8]) -> Bool { isTag(Array(tag.utf8), at: text) }

    /// Whether `text` begins with `tag` and a byte that ends a tag's name; a comment needs none.
    private static func isTag(_ tag: [UInt8], at text: [UInt8]) -> Bool {
        guard text.starts(with: tag) else { return false }
        guard tag != Array("<!--".utf8), text.count > tag.count else { return true }
        return [0x09, 0x0A, 0x0C, 0x0D, 0x20, UInt8(ascii: ">"), UInt8(ascii: "/")].contains(text[tag.count])
    }

    private static func hasTag(_ tag: String, in text: [UInt8]) -> Bool {
        text.indices.contains { text[$0] == UInt8(ascii: "<") && isTag(tag, at: Array(text[$0...].prefix(16))) }
    }
}

import HTTP

/// What a stream of requests came to, with the pieces of each body put together.
struct ParsedMessage: Equatable {
    var head: RequestHead
    var framing: BodyFraming
    var body: [UInt8] = []
    var isComplete = false

    /// Everything that comes out of `parser` now.
    static func drain(_ parser: inout RequestParser, into messages: inout [ParsedMessage]) throws(HTTPParseError) {
        while let event = try parser.next() {
            switch event {
            case .head(let head, let framing): messages.append(ParsedMessage(head: head, framing: framing))
            case .body(let bytes): messages[messages.count - 1].body += bytes
            case .end: messages[messages.count - 1].isComplete = true
            }
        }
    }

    /// Parses `pieces` fed one after the other.
    static func parse(
        _ pieces: [[UInt8]],
        limits: HTTPLimits = HTTPLimits()
    ) -> (messages: [ParsedMessage], error: HTTPParseError?) {
        var parser = RequestParser(limits: limits)
        var messages: [ParsedMessage] = []
        do throws(HTTPParseError) {
            for piece in pieces {
                parser.feed(piece)
                try drain(&parser, into: &messages)
            }
            return (messages, nil)
        } catch {
            return (messages, error)
        }
    }

    /// Parses `text` fed at once.
    static func parse(
        _ text: String,
        limits: HTTPLimits = HTTPLimits()
    ) -> (messages: [ParsedMessage], error: HTTPParseError?) {
        parse([Array(text.utf8)], limits: limits)
    }
}

/// Every way to cut `bytes` in two, and one byte at a time.
func everySplit(of bytes: [UInt8]) -> [[[UInt8]]] {
    (0...bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] } + [bytes.map { [$0] }]
}

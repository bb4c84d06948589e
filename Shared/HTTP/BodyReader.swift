/// Takes a message's body out of the input as its framing says.
struct BodyReader: Sendable {
    private enum State: Sendable {
        case length(remaining: Int)
        case chunked(ChunkedDecoder)
        case untilClose
    }

    private var state: State

    init(_ framing: BodyFraming, limits: HTTPLimits) {
        state =
            switch framing {
            case .none: .length(remaining: 0)
            case .length(let count): .length(remaining: count)
            case .chunked: .chunked(ChunkedDecoder(limits: limits))
            case .untilClose: .untilClose
            }
    }

    var endsAtClose: Bool { if case .untilClose = state { true } else { false } }

    mutating func next(_ buffer: inout InputBuffer) throws(HTTPParseError) -> ChunkedDecoder.Event? {
        switch state {
        case .length(let remaining):
            if remaining == 0 { return .end }
            if buffer.isEmpty { return nil }
            let piece = buffer.take(upTo: remaining)
            state = .length(remaining: remaining - piece.count)
            return .data(piece)
        case .chunked(var decoder):
            // Not copied: the decoder holds no storage while in a body.
            defer { state = .chunked(decoder) }
            return try decoder.next(&buffer)
        case .untilClose:
            return buffer.isEmpty ? nil : .data(buffer.take(upTo: .max))
        }
    }
}

import Core
import ServiceKit
import WebSocket

/// `DeliveryHints` as JSON, written and read by hand: with every message that crosses gateways, an encoder that knows
/// nothing of the texts in it would cost more than all else that is done for the message.
extension DeliveryHints {
    /// Appends the JSON object.
    func write(to bytes: inout ByteQueue) {
        bytes.append(#"{"entries":["#)
        for (index, hint) in entries.enumerated() {
            if index > 0 { bytes.append(",") }
            bytes.append(#"{"conversation_id":""#)
            bytes.append(text: hint.conversationID)
            bytes.append(#"","head":"#)
            bytes.append(decimal: hint.head)
            bytes.append(#","user_ids":["#)
            for (index, userID) in hint.userIDs.enumerated() {
                bytes.append(index > 0 ? #",""# : "\"")
                bytes.append(text: userID)
                bytes.append("\"")
            }
            // A stored text is an object without its head.
            for (index, text) in hint.texts.enumerated() {
                bytes.append(index > 0 ? ",{" : #"],"texts":[{"#)
                text.withUnsafeBytes { bytes.append($0) }
            }
            bytes.append("]}")
        }
        bytes.append(readAll ? #"],"read_all":true}"# : "]}")
    }

    /// Reads what `write` makes.
    ///
    /// Unknown members are ignored; the texts are parts of `body`.
    ///
    /// - Throws: `Problem` 400 `malformed_json`, 422 `invalid_field` naming the member.
    init(json body: [UInt8]) throws {
        let read = try body.withUnsafeBytes { bytes in
            guard UTF8Validator.isValid(bytes) else { throw Problem(400, .malformedJSON, "body: not UTF-8") }
            do throws(JSONScanError) {
                return try Self.parts(of: bytes)
            } catch {
                throw Problem(400, .malformedJSON, "body: \(error.detail)")
            }
        }
        guard let found = read.entries else {
            throw Problem.invalidField("entries", "must be a list of at most \(Self.entriesMax)")
        }
        self.init(readAll: read.readAll)
        entries.reserveCapacity(found.count)
        for part in found {
            guard let conversationID = part.conversationID, let head = part.head, (0...LogSchema.sequenceMax) ~= head,
                let userIDs = part.userIDs
            else { throw Problem.invalidField("entries", "must each have a conversation_id, a head and user_ids") }
            guard part.texts.count <= head, !part.hasOtherTexts else {
                throw Problem.invalidField("texts", "must be objects, at most head of them")
            }
            entries.append(
                DeliveryHint(
                    conversationID: conversationID,
                    head: head,
                    userIDs: userIDs,
                    texts: part.texts.map { body[$0] }
                )
            )
        }
    }

    /// A hint's members as they were found.
    private struct Part {
        var conversationID: String?
        var head: Int?
        var userIDs: [String]?
        /// Where the texts lie, without their braces at the front.
        var texts: [Range<Int>] = []
        /// Whether some are no objects.
        var hasOtherTexts = false
    }

    private static func parts(
        of body: UnsafeRawBufferPointer
    ) throws(JSONScanError) -> (entries: [Part]?, readAll: Bool) {
        var entries: [Part]?
        var readAll = false
        var scanner = JSONScanner(body)
        try scanner.forEachMember { scanner, key throws(JSONScanError) in
            if key.equals("entries") {
                var parts: [Part] = []
                try scanner.forEachElement { scanner throws(JSONScanError) in
                    let part = try part(&scanner, of: body)
                    if parts.count <= entriesMax { parts.append(part) }
                }
                entries = parts.count <= entriesMax ? parts : nil
            } else {
                let value = try scanner.nextValue()
                if key.equals("read_all") { readAll = value.kind == .true }
            }
        }
        try scanner.end()
        return (entries, readAll)
    }

    private static func part(
        _ scanner: inout JSONScanner,
        of body: UnsafeRawBufferPointer
    ) throws(JSONScanError) -> Part {
        var part = Part()
        try scanner.forEachMember { scanner, key throws(JSONScanError) in
            if key.equals("user_ids") {
                var userIDs: [String] = []
                try scanner.forEachElement { scanner throws(JSONScanError) in
                    userIDs.append(try scanner.nextValue().text)
                }
                part.userIDs = userIDs
            } else if key.equals("texts") {
                try scanner.forEachElement { scanner throws(JSONScanError) in
                    let text = try scanner.nextValue()
                    part.texts.append(body.range(of: text.bytes, after: 1))
                    if text.kind != .object { part.hasOtherTexts = true }
                }
            } else {
                let value = try scanner.nextValue()
                if key.equals("conversation_id"), value.kind == .string { part.conversationID = value.text }
                if key.equals("head") { part.head = value.wholeNumber }
            }
        }
        return part
    }
}

extension UnsafeRawBufferPointer {
    /// Where a part of these bytes lies, without its first ones.
    fileprivate func range(of part: UnsafeRawBufferPointer, after first: Int) -> Range<Int> {
        guard let base = baseAddress, let start = part.baseAddress, part.count >= first else { return 0..<0 }
        return start - base + first..<start - base + part.count
    }
}

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

    /// Reads what `write` makes; unknown members are ignored. The texts are parts of `body`.
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
            guard part.texts.count <= head else { throw Problem.invalidField("texts", "must not be more than head") }
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
    }

    private static func parts(
        of body: UnsafeRawBufferPointer
    ) throws(JSONScanError) -> (entries: [Part]?, readAll: Bool) {
        var entries: [Part]?
        var readAll = false
        var scanner = JSONScanner(body)
        try scanner.beginObject()
        while let (key, value) = try scanner.nextMember() {
            if key.equals("read_all") { readAll = value.kind == .true }
            if key.equals("entries"), value.kind == .array {
                var elements = JSONScanner(value.bytes)
                var parts: [Part] = []
                try elements.beginArray()
                while let element = try elements.nextElement() { parts.append(try part(element, of: body)) }
                entries = parts.count <= entriesMax ? parts : nil
            }
        }
        return (entries, readAll)
    }

    private static func part(
        _ element: JSONSlice,
        of body: UnsafeRawBufferPointer
    ) throws(JSONScanError) -> Part {
        var part = Part()
        var scanner = JSONScanner(element.bytes)
        try scanner.beginObject()
        while let (key, value) = try scanner.nextMember() {
            if key.equals("conversation_id"), value.kind == .string {
                part.conversationID = value.text
            } else if key.equals("head") {
                part.head = value.wholeNumber
            } else if key.equals("user_ids"), value.kind == .array {
                part.userIDs = try elements(of: value) { $0.kind == .string ? $0.text : nil }
            } else if key.equals("texts"), value.kind == .array {
                part.texts = try elements(of: value) { text in
                    guard text.kind == .object, let start = body.offset(of: text.bytes) else { return nil }
                    return start + 1..<start + text.bytes.count
                } ?? []
            }
        }
        return part
    }

    /// `nil` when one is of another kind.
    private static func elements<Element>(
        of list: JSONSlice,
        _ read: (JSONSlice) -> Element?
    ) throws(JSONScanError) -> [Element]? {
        var scanner = JSONScanner(list.bytes)
        var elements: [Element] = []
        try scanner.beginArray()
        while let value = try scanner.nextElement() {
            guard let element = read(value) else { return nil }
            elements.append(element)
        }
        return elements
    }
}

extension UnsafeRawBufferPointer {
    /// Where a part of these bytes lies.
    fileprivate func offset(of part: UnsafeRawBufferPointer) -> Int? {
        guard let base = baseAddress, let start = part.baseAddress else { return nil }
        return start - base
    }
}

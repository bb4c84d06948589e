import Core

/// What a message carries.
enum ContentType: String, CaseIterable {
    case text = "Text"
    case image = "Image"
    case file = "File"
    case voice = "Voice"
    case video = "Video"

    /// Reads a wire name, case-insensitively.
    init?(wire: JSONSlice) {
        guard wire.kind == .string else { return nil }
        let match = wire.withoutEscapes { bytes in Self.allCases.first { $0.matches(bytes) } }
        guard let match else { return nil }
        self = match
    }

    private func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var name = rawValue
        return name.withUTF8 { name in
            guard name.count == bytes.count else { return false }
            for index in 0..<name.count where name[index] | 0x20 != bytes[index] | 0x20 { return false }
            return true
        }
    }
}

/// Why a frame is refused: becomes an `Error` frame; nothing was stored.
struct FrameProblem: Error, Equatable {
    let code: ProblemCode
    /// Names the field and the rule.
    let message: String

    static func field(_ name: StaticString, _ rule: String) -> FrameProblem {
        FrameProblem(code: .invalidField, message: "\(name): \(rule)")
    }
}

/// A `Chat` frame's fields; the slices point into the frame's bytes.
struct ChatFrame {
    static let contentScalarsMax = 10_000

    var content: JSONSlice
    var contentType = ContentType.text
    /// `nil`: whoever serves the customer.
    var addressee: String?
    var clientID: String?
    var fileID: String?
}

/// A client's text frame (DESIGN: one JSON object, told apart by `type`).
///
/// On input the older names `from` and `to` are understood for `from_user_id` and `to_user_id`, and a type's case
/// does not matter.
enum ClientFrame {
    case chat(ChatFrame)
    case heartbeat
    case delivered(conversationID: String, sequence: Int)

    /// The members that any frame may have; unknown ones are skipped.
    private enum Name: Int {
        case type, content, contentType, from, to, clientID, fileID, conversationID, sequence

        /// `nil` for a name that means nothing here.
        ///
        /// Told apart by length first, so a name costs one comparison.
        init?(_ key: JSONSlice) {
            guard !key.hasEscapes else {
                // Nobody needs to escape these names, and who does it all the same means the same.
                let plain = key.withoutEscapes { Name(JSONSlice(kind: .string, bytes: $0, hasEscapes: false)) }
                guard let plain else { return nil }
                self = plain
                return
            }
            switch key.bytes.count {
            case 2 where key.equals("to"): self = .to
            case 3 where key.equals("seq"): self = .sequence
            case 4 where key.equals("type"): self = .type
            case 4 where key.equals("from"): self = .from
            case 7 where key.equals("content"): self = .content
            case 7 where key.equals("file_id"): self = .fileID
            case 9 where key.equals("client_id"): self = .clientID
            case 10 where key.equals("to_user_id"): self = .to
            case 12 where key.equals("content_type"): self = .contentType
            case 12 where key.equals("from_user_id"): self = .from
            case 15 where key.equals("conversation_id"): self = .conversationID
            default: return nil
            }
        }
    }

    /// The values that came, in place: no dictionary, no allocation.
    private struct Members {
        private var values = InlineArray<9, JSONSlice?>(repeating: nil)
        private var given: UInt16 = 0

        subscript(_ name: Name) -> JSONSlice? { values[name.rawValue] }

        /// Two values for one name leave open which is meant: false.
        ///
        /// A null is the same as nothing.
        mutating func set(_ name: Name, _ value: JSONSlice) -> Bool {
            let bit: UInt16 = 1 << name.rawValue
            guard given & bit == 0 else { return false }
            given |= bit
            if value.kind != .null { values[name.rawValue] = value }
            return true
        }
    }

    /// A frame together with the `client_id` that an `Error` answer echoes.
    ///
    /// - Parameters:
    ///   - text: The frame, valid UTF-8.
    ///   - sender: The session's user; a frame that names another sender is refused.
    ///   - clientID: Set as soon as a well-formed one is known, also when the frame is then refused.
    /// - Throws: `FrameProblem`.
    static func decode(
        _ text: UnsafeRawBufferPointer,
        sender: String,
        clientID: inout String?
    ) throws(FrameProblem) -> ClientFrame {
        var members = Members()
        do {
            var scanner = JSONScanner(text)
            try scanner.beginObject()
            while let (key, value) = try scanner.nextMember() {
                guard let name = Name(key) else { continue }
                guard members.set(name, value) else {
                    throw FrameProblem(code: .malformedJSON, message: "\(key.text): given twice")
                }
            }
        } catch let error as JSONScanError {
            throw FrameProblem(code: .malformedJSON, message: error.detail)
        } catch let error as FrameProblem {
            throw error
        } catch {
            throw FrameProblem(code: .malformedJSON, message: "a frame is one JSON object")
        }
        clientID = try decodeClientID(members[.clientID])
        guard let type = members[.type], type.kind == .string else { throw .field("type", "must be a string") }
        if type.equalsIgnoringCase("Chat") { return .chat(try decodeChat(members, sender: sender, clientID: clientID)) }
        if type.equalsIgnoringCase("Heartbeat") { return .heartbeat }
        if type.equalsIgnoringCase("Delivered") { return try decodeDelivered(members) }
        throw FrameProblem(
            code: .unknownType,
            message: "type: \(String(type.text.unicodeScalars.prefix(64))) is not known"
        )
    }

    private static func decodeChat(
        _ members: Members,
        sender: String,
        clientID: String?
    ) throws(FrameProblem) -> ChatFrame {
        guard let content = members[.content], content.kind == .string else {
            throw .field("content", "must be a string")
        }
        var chat = ChatFrame(content: content)
        if let from = members[.from] {
            guard from.kind == .string, from.text == sender else {
                throw .field("from_user_id", "must be the session's own user")
            }
        }
        if let contentType = members[.contentType] {
            guard let known = ContentType(wire: contentType) else {
                throw .field("content_type", "must be Text, Image, File, Voice or Video")
            }
            chat.contentType = known
        }
        chat.addressee = try decodeName(members[.to], "to_user_id")
        chat.fileID = try decodeName(members[.fileID], "file_id")
        chat.clientID = clientID
        let isEmptyAllowed = chat.fileID != nil
        guard !content.bytes.isEmpty || isEmptyAllowed else { throw .field("content", "must not be empty") }
        // A scalar has at least one byte, so most texts need no counting.
        guard
            content.bytes.count <= ChatFrame.contentScalarsMax
                || JSONEscapes.scalarCount(content) <= ChatFrame.contentScalarsMax
        else { throw .field("content", "at most \(ChatFrame.contentScalarsMax) characters") }
        return chat
    }

    private static func decodeDelivered(_ members: Members) throws(FrameProblem) -> ClientFrame {
        guard let conversation = members[.conversationID], conversation.kind == .string else {
            throw .field("conversation_id", "must be a string")
        }
        guard let sequence = members[.sequence], sequence.kind == .number,
            let number = Int(String(decoding: sequence.bytes, as: UTF8.self)), number >= 0
        else { throw .field("seq", "must be a whole number from 0 on") }
        return .delivered(conversationID: conversation.text, sequence: number)
    }

    private static func decodeClientID(_ slice: JSONSlice?) throws(FrameProblem) -> String? {
        guard let slice else { return nil }
        guard slice.kind == .string else { throw .field("client_id", "must be a string") }
        let text = slice.text
        guard !text.isEmpty, text.unicodeScalars.count <= Identifier.clientIDLengthMax else {
            throw .field("client_id", "must have 1 to \(Identifier.clientIDLengthMax) characters")
        }
        return text
    }

    private static func decodeName(_ slice: JSONSlice?, _ field: StaticString) throws(FrameProblem) -> String? {
        guard let slice else { return nil }
        guard slice.kind == .string, slice.withoutEscapes({ Identifier.isUserID($0) }) else {
            throw .field(field, "must be 1 to \(Identifier.userIDLengthMax) of A-Z a-z 0-9 _ . -")
        }
        return slice.text
    }
}

extension JSONSlice {
    /// Whether a name without escapes has this spelling.
    func equals(_ word: StaticString) -> Bool {
        guard word.utf8CodeUnitCount == bytes.count, !hasEscapes else { return false }
        for index in 0..<bytes.count where bytes[index] != word.utf8Start[index] { return false }
        return true
    }

    /// Whether a string has this spelling, all letters, in any case.
    func equalsIgnoringCase(_ word: StaticString) -> Bool {
        withoutEscapes { bytes in
            guard word.utf8CodeUnitCount == bytes.count else { return false }
            for index in 0..<bytes.count where bytes[index] | 0x20 != word.utf8Start[index] | 0x20 { return false }
            return true
        }
    }

    /// Gives a string's UTF-8 to `body`; a copy only when it has escapes.
    func withoutEscapes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        hasEscapes ? Array(text.utf8).withUnsafeBytes(body) : body(bytes)
    }
}

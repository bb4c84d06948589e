import Contracts
import Core
import ServiceKit

/// The members of a frame that mean something in one type or another, in place: no dictionary, no allocation.
///
/// The values lie in a piece of the stack that is not filled beforehand: a table of its own would be filled, and copied
/// at each use, which was a fifth of decoding a frame.
struct FrameMembers {
    enum Name: Int {
        case type, content, contentType, from, to, clientID, fileID, conversationID, sequence
        case cursors, isTyping, targetSequence, with, before, after, limit, userType, status, sessionID

        /// How many there are.
        static let count = Name.sessionID.rawValue + 1

        /// `nil` for a name that means nothing here; such members are skipped.
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
            case 4 where key.equals("with"): self = .with
            case 5 where key.equals("after"): self = .after
            case 5 where key.equals("limit"): self = .limit
            case 6 where key.equals("before"): self = .before
            case 6 where key.equals("status"): self = .status
            case 7 where key.equals("content"): self = .content
            case 7 where key.equals("file_id"): self = .fileID
            case 7 where key.equals("cursors"): self = .cursors
            case 9 where key.equals("client_id"): self = .clientID
            case 9 where key.equals("is_typing"): self = .isTyping
            case 9 where key.equals("user_type"): self = .userType
            case 10 where key.equals("to_user_id"): self = .to
            case 10 where key.equals("session_id"): self = .sessionID
            case 10 where key.equals("target_seq"): self = .targetSequence
            case 12 where key.equals("content_type"): self = .contentType
            case 12 where key.equals("from_user_id"): self = .from
            case 15 where key.equals("conversation_id"): self = .conversationID
            default: return nil
            }
        }
    }

    /// The longest name that is taken for a conversation's: none is longer than two user ids and what joins them.
    static let conversationBytesMax = 200

    /// Room for `Name.count` values; only those of `given` are there.
    private let values: UnsafeMutableBufferPointer<JSONSlice>
    private var given: UInt32 = 0

    /// Gives `body` the members of a text that is one JSON object.
    ///
    /// - Throws: `FrameProblem` `malformed_json`, also for a name given twice, which leaves open what is meant; and
    ///   what `body` throws.
    static func read<Result>(
        _ text: UnsafeRawBufferPointer,
        _ body: (FrameMembers) throws(FrameProblem) -> Result
    ) throws(FrameProblem) -> Result {
        try withUnsafeTemporaryAllocation(of: JSONSlice.self, capacity: Name.count) { values throws(FrameProblem) in
            try body(FrameMembers(text, values))
        }
    }

    private init(
        _ text: UnsafeRawBufferPointer,
        _ values: UnsafeMutableBufferPointer<JSONSlice>
    ) throws(FrameProblem) {
        self.values = values
        do {
            var scanner = JSONScanner(text)
            try scanner.beginObject()
            while let (key, value) = try scanner.nextMember() {
                guard let name = Name(key) else { continue }
                guard set(name, value) else {
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
    }

    /// `nil` for a member that was not given, or given as null.
    subscript(_ name: Name) -> JSONSlice? {
        guard given & 1 << name.rawValue != 0, values[name.rawValue].kind != .null else { return nil }
        return values[name.rawValue]
    }

    /// False for a name that was given before.
    private mutating func set(_ name: Name, _ value: JSONSlice) -> Bool {
        let bit: UInt32 = 1 << name.rawValue
        guard given & bit == 0 else { return false }
        given |= bit
        values.initializeElement(at: name.rawValue, to: value)
        return true
    }

    // MARK: - Fields

    /// A well-formed `conversation_id`; `nil` for none and for any other value.
    var conversationID: String? { self[.conversationID].flatMap(Self.conversationName) }

    /// What may be a conversation's name: a string of 1 to `conversationBytesMax` bytes.
    static func conversationName(_ slice: JSONSlice) -> String? {
        // No byte of a text has an escape longer than six.
        guard slice.kind == .string, slice.bytes.count <= conversationBytesMax * 6 else { return nil }
        let text = slice.text
        return (1...conversationBytesMax).contains(text.utf8.count) ? text : nil
    }

    /// The `conversation_id` that the echo holds already.
    func requiredConversation(_ echo: FrameEcho) throws(FrameProblem) -> String {
        if let name = echo.conversationID { return name }
        let rule = "must be a string of 1 to \(Self.conversationBytesMax) bytes"
        throw .field("conversation_id", rule, self[.conversationID]?.kind == .string ? .idMalformed : .invalidField)
    }

    /// The same where it may be left out.
    func optionalConversation(_ echo: FrameEcho) throws(FrameProblem) -> String? {
        self[.conversationID] == nil ? nil : try requiredConversation(echo)
    }

    func clientID() throws(FrameProblem) -> String? {
        guard let slice = self[.clientID] else { return nil }
        guard slice.kind == .string else { throw .field("client_id", "must be a string") }
        let text = slice.text
        // A scalar has at least one byte, so most need no counting.
        guard !text.isEmpty,
            text.utf8.count <= Identifier.clientIDLengthMax
                || text.unicodeScalars.count <= Identifier.clientIDLengthMax
        else {
            throw .field("client_id", "must have 1 to \(Identifier.clientIDLengthMax) characters", .clientIDLength)
        }
        return text
    }

    /// A user's or a file's id.
    func name(_ name: Name, _ field: StaticString) throws(FrameProblem) -> String? {
        guard let slice = self[name] else { return nil }
        let rule = "must be 1 to \(Identifier.userIDLengthMax) of A-Z a-z 0-9 _ . -"
        guard slice.kind == .string else { throw .field(field, rule) }
        guard slice.withoutEscapes({ Identifier.isUserID($0) }) else { throw .field(field, rule, .idMalformed) }
        return slice.text
    }

    func integer(_ name: Name, _ field: StaticString, in range: ClosedRange<Int>) throws(FrameProblem) -> Int? {
        guard let slice = self[name] else { return nil }
        let isOpen = range.upperBound == JSONSlice.wholeNumberMax
        let rule = "must be a whole number from \(range.lowerBound) \(isOpen ? "on" : "to \(range.upperBound)")"
        guard let value = slice.wholeNumber else { throw .field(field, rule) }
        guard range.contains(value) else { throw .field(field, rule, .numberOutOfRange) }
        return value
    }

    func userType() throws(FrameProblem) -> UserType? {
        guard let slice = self[.userType] else { return nil }
        let rule = "must be Kehu or Kefu"
        guard slice.kind == .string else { throw .field("user_type", rule) }
        guard let type = UserType(wire: slice.text) else { throw .field("user_type", rule, .userTypeUnknown) }
        return type
    }

    func sessionID() throws(FrameProblem) -> String {
        let rule = "must be a string of 1 to \(SessionCredential.bytesMax) visible ASCII characters"
        guard let slice = self[.sessionID], slice.kind == .string else { throw .field("session_id", rule) }
        let text = slice.text
        guard SessionCredential.isUsable(text) else { throw .field("session_id", rule, .idMalformed) }
        return text
    }

    func chosenStatus() throws(FrameProblem) -> PresenceStatus {
        let rule = "must be Online, Busy or Away"
        guard let slice = self[.status], slice.kind == .string else { throw .field("status", rule) }
        // Offline is not chosen: it is having no connection.
        guard let status = PresenceStatus(word: slice.text), status != .offline else {
            throw .field("status", rule, .statusUnknown)
        }
        return status
    }
}

import Contracts
import Core

/// Why a frame is refused: becomes an `Error` frame; nothing was stored.
struct FrameProblem: Error, Equatable {
    let code: ProblemCode
    /// Names the field and the rule.
    let message: String

    /// A member that breaks a rule.
    ///
    /// - Parameters:
    ///   - name: The member.
    ///   - rule: What it must be.
    ///   - code: The rule's own; by default that of a member that is missing or of another JSON type.
    /// - Returns: The problem.
    static func field(_ name: StaticString, _ rule: String, _ code: ProblemCode = .invalidField) -> FrameProblem {
        FrameProblem(code: code, message: "\(name): \(rule)")
    }
}

/// What an `Error` repeats of the frame that it answers, so that a client knows which one it was.
struct FrameEcho: Equatable, Sendable {
    var clientID: String?
    var conversationID: String?
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

/// One conversation of a `Sync`: the last sequence that the client has.
struct SyncCursor: Equatable, Sendable {
    let conversationID: String
    /// As the client gave it, within ±`JSONSlice.wholeNumberMax`: also one that no entry has.
    let sequence: Int
}

/// A `Typing` frame's fields; it names a conversation or a user, never both.
struct TypingFrame: Equatable, Sendable {
    let conversationID: String?
    let addressee: String?
    let isTyping: Bool
}

/// A `Recall` frame's fields.
struct RecallFrame: Equatable, Sendable {
    let conversationID: String
    /// The message to take back, from 1.
    let targetSequence: Int
    let clientID: String?
}

/// A client's text frame (DESIGN: one JSON object, told apart by `type`).
///
/// On input the older names `from`, `to` and `GetOnlineUsers` are understood for `from_user_id`, `to_user_id` and
/// `OnlineUsers`, and a type's case does not matter.
enum ClientFrame {
    case chat(ChatFrame)
    case heartbeat
    /// `Delivered` or `Read`.
    case receipt(Receipt)
    case sync([SyncCursor])
    case typing(TypingFrame)
    case recall(RecallFrame)
    /// `HistoryRequest`.
    case history(HistoryFrame)
    /// Who is online, of one type or of both.
    case onlineUsers(UserType?)
    /// The user's own choice: any but `offline`.
    case status(PresenceStatus)
    /// `Session`: the id of the session that the connection is to go on with.
    case session(String)

    /// The most conversations of a `Sync`.
    static let cursorsMax = 10_000

    /// The types that a client may send.
    private enum Kind {
        case chat, heartbeat, delivered, read, sync, typing, recall, history, onlineUsers, status, session

        init?(_ type: JSONSlice) {
            let kind: Kind? = type.withoutEscapes { bytes in
                switch bytes.count {
                case 4 where bytes.equalsIgnoringCase("Chat"): .chat
                case 4 where bytes.equalsIgnoringCase("Read"): .read
                case 4 where bytes.equalsIgnoringCase("Sync"): .sync
                case 6 where bytes.equalsIgnoringCase("Typing"): .typing
                case 6 where bytes.equalsIgnoringCase("Recall"): .recall
                case 6 where bytes.equalsIgnoringCase("Status"): .status
                case 7 where bytes.equalsIgnoringCase("Session"): .session
                case 9 where bytes.equalsIgnoringCase("Heartbeat"): .heartbeat
                case 9 where bytes.equalsIgnoringCase("Delivered"): .delivered
                case 11 where bytes.equalsIgnoringCase("OnlineUsers"): .onlineUsers
                case 14 where bytes.equalsIgnoringCase("HistoryRequest"): .history
                case 14 where bytes.equalsIgnoringCase("GetOnlineUsers"): .onlineUsers
                default: nil
                }
            }
            guard let kind else { return nil }
            self = kind
        }
    }

    /// Reads a frame.
    ///
    /// - Parameters:
    ///   - text: The frame, valid UTF-8.
    ///   - sender: The session's user; a `Chat` that names another sender is refused.
    ///   - echo: Gets what an `Error` repeats as soon as it is known, also when the frame is then refused.
    /// - Throws: `FrameProblem`.
    static func decode(
        _ text: UnsafeRawBufferPointer,
        sender: String,
        echo: inout FrameEcho
    ) throws(FrameProblem) -> ClientFrame {
        try FrameMembers.read(text) { (members) throws(FrameProblem) in
            // First of all, so that it is known also when the `client_id` is refused.
            echo.conversationID = members.conversationID
            echo.clientID = try members.clientID()
            return try decode(members, sender: sender, echo)
        }
    }

    private static func decode(
        _ members: FrameMembers,
        sender: String,
        _ echo: FrameEcho
    ) throws(FrameProblem) -> ClientFrame {
        guard let type = members[.type], type.kind == .string else { throw .field("type", "must be a string") }
        switch Kind(type) {
        case .chat: return .chat(try decodeChat(members, sender: sender, clientID: echo.clientID))
        case .heartbeat: return .heartbeat
        case .delivered: return .receipt(try decodeReceipt(.delivered, members, echo))
        case .read: return .receipt(try decodeReceipt(.read, members, echo))
        case .sync: return .sync(try decodeCursors(members[.cursors]))
        case .typing: return .typing(try decodeTyping(members, echo))
        case .recall: return .recall(try decodeRecall(members, echo))
        case .history: return .history(try HistoryFrame(members, echo, sender: sender))
        case .onlineUsers: return .onlineUsers(try members.userType())
        case .status: return .status(try members.chosenStatus())
        case .session: return .session(try members.sessionID())
        case nil:
            throw FrameProblem(
                code: .unknownType,
                message: "type: \(String(type.text.unicodeScalars.prefix(64))) is not known"
            )
        }
    }

    private static func decodeChat(
        _ members: FrameMembers,
        sender: String,
        clientID: String?
    ) throws(FrameProblem) -> ChatFrame {
        guard let content = members[.content], content.kind == .string else {
            throw .field("content", "must be a string")
        }
        var chat = ChatFrame(content: content)
        if let from = members[.from] {
            let rule = "must be the session's own user"
            guard from.kind == .string else { throw .field("from_user_id", rule) }
            // By bytes: to compare texts takes the square of a run of combining marks, and a frame may be full of them.
            let isSender = from.withoutEscapes { $0.elementsEqual(sender.utf8) }
            guard isSender else { throw .field("from_user_id", rule, .senderMismatch) }
        }
        if let contentType = members[.contentType] {
            let rule = "must be Text, Image, File, Voice or Video"
            guard contentType.kind == .string else { throw .field("content_type", rule) }
            guard let known = ContentType(wire: contentType) else {
                throw .field("content_type", rule, .contentTypeUnknown)
            }
            chat.contentType = known
        }
        chat.addressee = try members.name(.to, "to_user_id")
        chat.fileID = try members.name(.fileID, "file_id")
        chat.clientID = clientID
        let isEmptyAllowed = chat.fileID != nil
        guard !content.bytes.isEmpty || isEmptyAllowed else {
            throw .field("content", "must not be empty", .contentEmpty)
        }
        // A scalar has at least one byte, so most texts need no counting.
        guard
            content.bytes.count <= ChatFrame.contentScalarsMax
                || JSONEscapes.scalarCount(content) <= ChatFrame.contentScalarsMax
        else { throw .field("content", "at most \(ChatFrame.contentScalarsMax) characters", .contentTooLong) }
        return chat
    }

    private static func decodeReceipt(
        _ kind: Receipt.Kind,
        _ members: FrameMembers,
        _ echo: FrameEcho
    ) throws(FrameProblem) -> Receipt {
        let conversationID = try members.requiredConversation(echo)
        guard let sequence = try members.integer(.sequence, "seq", in: 0...JSONSlice.wholeNumberMax) else {
            throw .field("seq", "must be a whole number from 0 on")
        }
        return Receipt(kind: kind, conversationID: conversationID, sequence: sequence)
    }

    private static func decodeCursors(_ slice: JSONSlice?) throws(FrameProblem) -> [SyncCursor] {
        guard let slice, slice.kind == .object else {
            throw .field("cursors", "must be an object of conversations and their last sequence")
        }
        var cursors: [SyncCursor] = []
        var names: Set<String> = []
        do {
            var scanner = JSONScanner(slice.bytes)
            try scanner.beginObject()
            while let (key, value) = try scanner.nextMember() {
                guard cursors.count < cursorsMax else {
                    throw FrameProblem.field("cursors", "at most \(cursorsMax) conversations", .tooManyCursors)
                }
                guard let name = FrameMembers.conversationName(key) else {
                    let longest = FrameMembers.conversationBytesMax
                    throw FrameProblem.field("cursors", "a conversation has 1 to \(longest) bytes", .idMalformed)
                }
                guard let sequence = value.wholeNumber else {
                    throw FrameProblem.field("cursors", "each must be a whole number")
                }
                guard names.insert(name).inserted else {
                    throw FrameProblem.field("cursors", "a conversation is given twice", .cursorRepeated)
                }
                cursors.append(SyncCursor(conversationID: name, sequence: sequence))
            }
        } catch let problem as FrameProblem {
            throw problem
        } catch {
            // The frame was scanned before: its parts are well-formed.
            throw .field("cursors", "must be an object")
        }
        return cursors
    }

    private static func decodeTyping(_ members: FrameMembers, _ echo: FrameEcho) throws(FrameProblem) -> TypingFrame {
        let conversationID = try members.optionalConversation(echo)
        let addressee = try members.name(.to, "to_user_id")
        guard (conversationID == nil) != (addressee == nil) else {
            throw .field("conversation_id, to_user_id", "one of them is required, and only one", .targetAmbiguous)
        }
        let isTyping: Bool
        switch members[.isTyping]?.kind {
        case .true: isTyping = true
        case .false: isTyping = false
        default: throw .field("is_typing", "must be true or false")
        }
        return TypingFrame(conversationID: conversationID, addressee: addressee, isTyping: isTyping)
    }

    private static func decodeRecall(_ members: FrameMembers, _ echo: FrameEcho) throws(FrameProblem) -> RecallFrame {
        let conversationID = try members.requiredConversation(echo)
        guard let target = try members.integer(.targetSequence, "target_seq", in: 1...JSONSlice.wholeNumberMax) else {
            throw .field("target_seq", "must be a whole number from 1 on")
        }
        return RecallFrame(conversationID: conversationID, targetSequence: target, clientID: echo.clientID)
    }
}

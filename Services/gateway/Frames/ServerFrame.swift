import Contracts
import Core

/// What a `System` frame says: its `code`, and the text for people.
enum SystemNotice: String {
    /// The session ends soon: refresh it, or log in and bring the new one by a `Session` frame.
    case sessionExpiring = "session_expiring"
    /// The connection belongs to the session of its client's `Session` frame.
    case sessionRenewed = "session_renewed"

    /// Needs no escaping.
    var message: String {
        switch self {
        case .sessionExpiring: "the session ends soon; refresh it, or log in and send Session"
        case .sessionRenewed: "the connection goes on with this session"
        }
    }
}

/// What the gateway sends, as JSON text.
enum ServerFrame {
    /// `Welcome`: who the server takes the client for, and how far the user's conversations reach.
    static func welcome(
        _ identity: Identity,
        connectionID: String,
        heartbeatMilliseconds: Int,
        heads: [(conversationID: String, head: Int)],
        now: Timestamp
    ) -> String {
        var text = #"{"type":"Welcome","user_id":"\#(identity.userID)","user_name":"#
        JSONText.appendQuoted(identity.userName, to: &text)
        text += #","user_type":"\#(identity.userType.rawValue)","connection_id":"\#(connectionID)""#
        text += #","heartbeat_interval":\#(heartbeatMilliseconds),"server_time":"\#(now.wire)","heads":"#
        append(heads, to: &text)
        return text + "}"
    }

    /// Conversations' names need no escaping.
    private static func append(_ heads: [(conversationID: String, head: Int)], to text: inout String) {
        text += "{"
        for (index, entry) in heads.enumerated() {
            if index > 0 { text += "," }
            text += #""\#(entry.conversationID)":\#(entry.head)"#
        }
        text += "}"
    }

    /// `Error`: nothing was stored.
    static func error(_ problem: FrameProblem, echo: FrameEcho, now: Timestamp) -> String {
        var text = #"{"type":"Error","code":"\#(problem.code.rawValue)","message":"#
        JSONText.appendQuoted(problem.message, to: &text)
        if let clientID = echo.clientID {
            text += #","client_id":"#
            JSONText.appendQuoted(clientID, to: &text)
        }
        if let conversationID = echo.conversationID {
            text += #","conversation_id":"#
            JSONText.appendQuoted(conversationID, to: &text)
        }
        return text + #","timestamp":"\#(now.wire)"}"#
    }

    static func heartbeat(now: Timestamp) -> String { #"{"type":"Heartbeat","timestamp":"\#(now.wire)"}"# }

    /// `System`: a notice about the connection's session.
    ///
    /// - Parameters:
    ///   - notice: Which one.
    ///   - expiresAt: When the session ends.
    ///   - clientID: The frame's that it answers.
    ///   - now: When it is sent.
    /// - Returns: The frame.
    static func system(
        _ notice: SystemNotice,
        expiresAt: Timestamp,
        clientID: String? = nil,
        now: Timestamp
    ) -> String {
        var text = #"{"type":"System","code":"\#(notice.rawValue)","message":"\#(notice.message)""#
        if let clientID {
            text += #","client_id":"#
            JSONText.appendQuoted(clientID, to: &text)
        }
        return text + #","expires_at":"\#(expiresAt.wire)","timestamp":"\#(now.wire)"}"#
    }

    // MARK: - Positions

    /// `Synced`: every conversation is sent up to its head, or a `Gap` has said what is left out.
    static func synced(heads: [(conversationID: String, head: Int)]) -> String {
        var text = #"{"type":"Synced","heads":"#
        append(heads, to: &text)
        return text + "}"
    }

    /// `Gap`: the entries `from`…`to`, both of them too, are left out; the client pages them over REST.
    static func gap(conversationID: String, from: Int, to: Int) -> String {
        #"{"type":"Gap","conversation_id":"\#(conversationID)","from":\#(from),"to":\#(to)}"#
    }

    /// `Delivered` or `Read`: how far a member has taken, or read, a conversation.
    static func receipt(
        _ kind: Receipt.Kind,
        conversationID: String,
        userID: String,
        sequence: Int,
        now: Timestamp
    ) -> String {
        let type =
            switch kind {
            case .delivered: "Delivered"
            case .read: "Read"
            }
        return #"{"type":"\#(type)","conversation_id":"\#(conversationID)","user_id":"\#(userID)""#
            + #","seq":\#(sequence),"timestamp":"\#(now.wire)"}"#
    }

    /// `History`: what `GET /api/messages` answers.
    static func history(
        conversationID: String,
        range: EntryRange,
        page: EntryPage,
        to bytes: inout ByteQueue
    ) {
        bytes.append(#"{"type":"History","#)
        EntryPageText.write(conversationID, range, page, to: &bytes)
    }

    /// `Ack`: the entry is durable.
    ///
    /// - Parameter acknowledged: `"id":…,"conversation_id":…,"timestamp":…` as the entry has them.
    static func acknowledgement(
        _ acknowledged: UnsafeRawBufferPointer,
        sequence: Int,
        clientID: String?,
        to bytes: inout ByteQueue
    ) {
        bytes.append(#"{"type":"Ack","#)
        bytes.append(acknowledged)
        bytes.append(#","seq":"#)
        bytes.append(decimal: sequence)
        bytes.append(#","client_id":"#, quoted: clientID)
        bytes.append("}")
    }

    // MARK: - People

    /// `UserJoined`, `UserLeft` or `Status`.
    static func presence(_ change: PresenceChange) -> String {
        let type =
            switch change.kind {
            case .joined: "UserJoined"
            case .left: "UserLeft"
            case .status: "Status"
            }
        var text = #"{"type":"\#(type)","user_id":"\#(change.userID)","user_name":"#
        JSONText.appendQuoted(change.userName, to: &text)
        text += #","user_type":"\#(change.userType.rawValue)","status":"\#(change.status.rawValue)""#
        return text + #","timestamp":"\#(change.at.wire)"}"#
    }

    /// `OnlineUsers`.
    static func onlineUsers(_ users: [PresentUser]) -> String {
        var text = #"{"type":"OnlineUsers","users":["#
        for (index, user) in users.enumerated() {
            if index > 0 { text += "," }
            text += #"{"user_id":"\#(user.userID)","user_name":"#
            JSONText.appendQuoted(user.userName, to: &text)
            text += #","user_type":"\#(user.userType.rawValue)","status":"\#(user.status.rawValue)""#
            if let lastSeen = user.lastSeen { text += #","last_seen":"\#(lastSeen.wire)""# }
            text += "}"
        }
        return text + "]}"
    }

    /// `Typing`: never stored.
    static func typing(conversationID: String, userID: String, isTyping: Bool) -> String {
        #"{"type":"Typing","conversation_id":"\#(conversationID)","user_id":"\#(userID)","is_typing":\#(isTyping)}"#
    }

    // MARK: - Routing news that are no entries

    /// `Queued`: the customer waits at this place, from 1.
    static func queued(conversationID: String, position: Int, reason: String, now: Timestamp) -> String {
        waiting("Queued", conversationID, position, reason, now)
    }

    /// `NoAgentAvailable`: the same while no agent is there at all; the messages are kept.
    static func noAgentAvailable(conversationID: String, position: Int, reason: String, now: Timestamp) -> String {
        waiting("NoAgentAvailable", conversationID, position, reason, now)
    }

    private static func waiting(
        _ type: String,
        _ conversationID: String,
        _ position: Int,
        _ reason: String,
        _ now: Timestamp
    ) -> String {
        #"{"type":"\#(type)","conversation_id":"\#(conversationID)","position":\#(position)"#
            + #","reason":\#(JSONText.quoted(reason)),"timestamp":"\#(now.wire)"}"#
    }
}

extension ByteQueue {
    /// Adds a literal.
    mutating func append(_ literal: StaticString) {
        append(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Adds a string's UTF-8.
    mutating func append(text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Adds a member: its name's literal, as `,"name":`, and the value as a JSON string; nothing without a value.
    mutating func append(_ name: StaticString, quoted value: String?) {
        guard let value else { return }
        append(name)
        append(text: JSONText.quoted(value))
    }

    /// Adds a number's decimal digits.
    mutating func append(decimal value: Int) {
        let count = Decimal.digitCount(value)
        Decimal.write(value, into: reserve(count))
    }
}

/// Decimal digits of numbers that are not negative, without a string.
enum Decimal {
    static func digitCount(_ value: Int) -> Int {
        var count = 1
        var rest = value / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        return count
    }

    /// Fills `place`, which is `digitCount` long.
    static func write(_ value: Int, into place: UnsafeMutableRawBufferPointer) {
        var rest = value
        for index in stride(from: place.count - 1, through: 0, by: -1) {
            place[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}

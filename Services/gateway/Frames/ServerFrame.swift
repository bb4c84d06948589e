import Contracts
import Core

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
        text += #","heartbeat_interval":\#(heartbeatMilliseconds),"server_time":"\#(now.wire)","heads":{"#
        for (index, entry) in heads.enumerated() {
            if index > 0 { text += "," }
            text += #""\#(entry.conversationID)":\#(entry.head)"#
        }
        return text + "}}"
    }

    /// `Error`: nothing was stored.
    static func error(_ problem: FrameProblem, clientID: String?, now: Timestamp) -> String {
        var text = #"{"type":"Error","code":"\#(problem.code.rawValue)","message":"#
        JSONText.appendQuoted(problem.message, to: &text)
        if let clientID {
            text += #","client_id":"#
            JSONText.appendQuoted(clientID, to: &text)
        }
        return text + #","timestamp":"\#(now.wire)"}"#
    }

    static func heartbeat(now: Timestamp) -> String { #"{"type":"Heartbeat","timestamp":"\#(now.wire)"}"# }

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

    /// `System`: an operator's notice.
    static func system(_ content: String, now: Timestamp) -> String {
        #"{"type":"System","content":\#(JSONText.quoted(content)),"timestamp":"\#(now.wire)"}"#
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
        if let clientID {
            bytes.append(#","client_id":"#)
            bytes.append(text: JSONText.quoted(clientID))
        }
        bytes.append("}")
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

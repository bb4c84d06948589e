import Contracts
import Core
import Foundation
import TestSupport
import Testing

@testable import GatewayService

@Suite("Frames from clients, at random")
struct ClientFrameFuzzTests {
    @Test("what is accepted means the same when it is written again, and no text stops the reader")
    func mutations() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var accepted: [String: Int] = [:]
        for _ in 0..<20_000 {
            let sample = ClientFrameTypesTests.samples[random.next(below: ClientFrameTypesTests.samples.count)].text
            let text = mutate(sample, &random)
            let bytes = Array(text.utf8)
            let (frame, echo) = decode(bytes)
            if case .refused(_, let message) = frame {
                #expect(!message.isEmpty, "seed \(seed): \(text.debugDescription)")
                continue
            }
            accepted[frame.type, default: 0] += 1
            #expect(decode(frame.json(&random)).frame == frame, "seed \(seed): \(text.debugDescription)")
            checkAgainstFoundation(bytes, frame, echo, "seed \(seed): \(text.debugDescription)")
        }
        #expect(accepted.count == 11, "seed \(seed): each type should be accepted now and then, not only \(accepted)")
    }

    @Test("any meaning, written in any way, is read as it was meant")
    func meanings() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5000 {
            let frame = Decoded(random: &random)
            let text = frame.json(&random)
            #expect(decode(text).frame == frame, "seed \(seed): \(text.debugDescription)")
            // Cut anywhere, it is refused.
            let bytes = Array(text.utf8)
            let cut = Array(bytes[..<random.next(below: bytes.count)])
            guard case .refused(.malformedJSON, _) = decode(cut).frame else {
                Issue.record("seed \(seed): a part of \(text.debugDescription) was taken")
                continue
            }
        }
    }

    /// One to four scalars changed, put in, taken out or moved.
    private func mutate(_ text: String, _ random: inout SeededGenerator) -> String {
        let pieces = Array("{}[]\",:\\ueEtrflsn0123456789+-. \u{1}aé😀Cc_".unicodeScalars)
        var scalars = Array(text.unicodeScalars)
        for _ in 0...random.next(below: 4) {
            let at = random.next(below: scalars.count)
            let piece = pieces[random.next(below: pieces.count)]
            switch random.next(below: 4) {
            case 0: scalars[at] = piece
            case 1: scalars.insert(piece, at: at)
            case 2 where scalars.count > 1: scalars.remove(at: at)
            default: scalars.swapAt(at, random.next(below: scalars.count))
            }
        }
        return scalars.reduce(into: "") { $0.unicodeScalars.append($1) }
    }

    /// The members that are texts say what Foundation's parser says.
    private func checkAgainstFoundation(_ bytes: [UInt8], _ frame: Decoded, _ echo: FrameEcho, _ comment: Comment) {
        // Foundation refuses numbers that no Double holds; the grammar does not.
        guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else { return }
        #expect(echo.clientID == object["client_id"] as? String, comment)
        switch frame {
        case .chat(let content, _, let addressee, _, let fileID):
            #expect(content == object["content"] as? String, comment)
            #expect(addressee == (object["to_user_id"] ?? object["to"]) as? String, comment)
            #expect(fileID == object["file_id"] as? String, comment)
        case .receipt(let receipt):
            #expect(receipt.conversationID == object["conversation_id"] as? String, comment)
            if let value = object["seq"] as? Double, value < 4e9 { #expect(Double(receipt.sequence) == value, comment) }
        case .sync(let cursors):
            let names = (object["cursors"] as? [String: Any])?.keys.sorted()
            #expect(cursors.map(\.conversationID).sorted() == names, comment)
        case .typing(let typing):
            #expect(typing.isTyping == object["is_typing"] as? Bool, comment)
        case .recall(let recall):
            #expect(recall.conversationID == object["conversation_id"] as? String, comment)
        case .status(let status):
            #expect(status.rawValue == object["status"] as? String, comment)
        case .session(let sessionID):
            #expect(sessionID == object["session_id"] as? String, comment)
        case .heartbeat, .history, .onlineUsers, .refused: break
        }
    }
}

extension Decoded {
    /// The frame's type on the wire.
    fileprivate var type: String {
        switch self {
        case .chat: "Chat"
        case .heartbeat: "Heartbeat"
        case .receipt(let receipt): receipt.kind == .read ? "Read" : "Delivered"
        case .sync: "Sync"
        case .typing: "Typing"
        case .recall: "Recall"
        case .history: "HistoryRequest"
        case .onlineUsers: "OnlineUsers"
        case .status: "Status"
        case .session: "Session"
        case .refused: "refused"
        }
    }

    /// The members by name, each with its value's JSON; strings as they are, to be quoted.
    private var members: [(name: String, value: Value)] {
        switch self {
        case .chat(let content, let contentType, let addressee, let clientID, let fileID):
            [
                ("content", .text(content)), ("content_type", .text(contentType.rawValue)),
                ("to_user_id", .init(addressee)), ("client_id", .init(clientID)), ("file_id", .init(fileID)),
            ]
        case .heartbeat, .refused: []
        case .receipt(let receipt):
            [("conversation_id", .text(receipt.conversationID)), ("seq", .number(receipt.sequence))]
        case .sync(let cursors): [("cursors", .cursors(cursors))]
        case .typing(let typing):
            [
                ("conversation_id", .init(typing.conversationID)), ("to_user_id", .init(typing.addressee)),
                ("is_typing", .bool(typing.isTyping)),
            ]
        case .recall(let recall):
            [
                ("conversation_id", .text(recall.conversationID)), ("target_seq", .number(recall.targetSequence)),
                ("client_id", .init(recall.clientID)),
            ]
        case .history(let history):
            [
                ("with", .init(history.with)), ("conversation_id", .init(history.conversationID)),
                ("before", .init(history.before)), ("after", .init(history.after)), ("limit", .init(history.limit)),
            ]
        case .onlineUsers(let type): [("user_type", .init(type?.rawValue))]
        case .status(let status): [("status", .text(status.rawValue))]
        case .session(let sessionID): [("session_id", .text(sessionID))]
        }
    }

    private enum Value {
        case text(String)
        case number(Int)
        case bool(Bool)
        case cursors([SyncCursor])
        case null

        init(_ text: String?) { self = text.map(Value.text) ?? .null }
        init(_ number: Int?) { self = number.map(Value.number) ?? .null }

        func json(_ random: inout SeededGenerator) -> String {
            switch self {
            case .text(let text): Decoded.quoted(text, &random)
            case .number(let number): random.oneIn(4) ? "\(number).0e0" : "\(number)"
            case .bool(let isTrue): "\(isTrue)"
            case .null: "null"
            case .cursors(let cursors):
                "{"
                    + cursors.map { Decoded.quoted($0.conversationID, &random) + " : \($0.sequence)" }
                    .joined(separator: ", ") + "}"
            }
        }
    }

    /// The frame, in any order, with older names, escapes, white space and strange members here and there.
    fileprivate func json(_ random: inout SeededGenerator) -> String {
        let isOlder = type == "OnlineUsers" && random.oneIn(2)
        var all = members + [("type", .text(isOlder ? "GetOnlineUsers" : type))]
        if random.oneIn(2) { all.append(("x-\(random.next(below: 9))", .cursors([]))) }
        var parts: [String] = []
        for (name, value) in all.shuffled(using: &random) {
            if case .null = value, random.oneIn(2) { continue }
            let spelling = name == "to_user_id" && random.oneIn(2) ? "to" : name
            let space = random.oneIn(3) ? " \n" : ""
            parts.append(space + Self.quoted(spelling, &random) + ":" + space + value.json(&random))
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    /// A JSON string, with some of its characters escaped though they need not be.
    fileprivate static func quoted(_ text: String, _ random: inout SeededGenerator) -> String {
        guard random.oneIn(3) else { return JSONText.quoted(text) }
        var output = "\""
        for scalar in text.unicodeScalars {
            if random.oneIn(3) {
                for unit in UTF16.encode(scalar).map(Array.init) ?? [] { output += String(format: "\\u%04x", unit) }
            } else {
                output += JSONText.quoted(String(scalar)).dropFirst().dropLast()
            }
        }
        return output + "\""
    }

    /// Any frame that a client may send.
    fileprivate init(random: inout SeededGenerator) {
        func text(_ lengths: ClosedRange<Int>) -> String {
            let alphabet = Array("abc:\"\\/\n\u{1}\u{7f}é你😀\u{2028}".unicodeScalars)
            return (0..<Int.random(in: lengths, using: &random)).reduce(into: "") { text, _ in
                text.unicodeScalars.append(alphabet[random.next(below: alphabet.count)])
            }
        }
        func name() -> String { "a\(random.next(below: 99)).-_" }
        func maybe<Value>(_ value: Value) -> Value? { random.oneIn(2) ? value : nil }
        let conversation = text(1...40)
        let byName = random.oneIn(2)
        switch random.next(below: 10) {
        case 0:
            self = .chat(
                content: text(1...300),
                contentType: ContentType.allCases[random.next(below: 5)],
                addressee: maybe(name()),
                clientID: maybe(text(1...64)),
                fileID: maybe(name())
            )
        case 1: self = .heartbeat
        case 2: self = .receipt(byName ? .read : .delivered, conversation, random.next(below: 1 << 30))
        case 3:
            let cursors = (0..<random.next(below: 20)).map {
                SyncCursor(conversationID: "\(text(0...40))\($0)", sequence: Int.random(in: -9...9, using: &random))
            }
            self = .sync(cursors)
        case 4: self = .typing(byName ? nil : conversation, to: byName ? name() : nil, random.oneIn(2))
        case 5: self = .recall(conversation, 1 + random.next(below: 1 << 24), maybe(text(1...64)))
        case 6:
            let (before, after) = (random.oneIn(3), random.oneIn(2))
            self = .history(
                with: byName ? name() : nil,
                byName ? nil : conversation,
                before: before ? 1 + random.next(below: 1 << 30) : nil,
                after: !before && after ? random.next(below: 1 << 30) : nil,
                limit: maybe(1 + random.next(below: 200))
            )
        case 7: self = .onlineUsers(byName ? nil : random.oneIn(2) ? .agent : .customer)
        case 8: self = .session("\(name())!~\\\"")
        default: self = .status([.online, .busy, .away][random.next(below: 3)])
        }
    }
}

import Contracts
import Core
import Foundation
import Testing

@testable import GatewayService

@Suite("Frames to clients")
struct ServerFrameTests {
    private let now = Timestamp(milliseconds: 1_768_903_200_123)

    @Test("Welcome is valid JSON whatever the display name is")
    func welcome() throws {
        let identity = Identity(userID: "u-1", userName: nasty, userType: .agent)
        let heads = [("c:a.b", 3), ("d:x:y", 12_345_678)].map { (conversationID: $0.0, head: $0.1) }
        let text = ServerFrame.welcome(
            identity,
            connectionID: "0-7",
            heartbeatMilliseconds: 30_000,
            heads: heads,
            now: now
        )
        let frame = try object(text)
        #expect(frame["type"] as? String == "Welcome")
        #expect(frame["user_id"] as? String == "u-1")
        #expect(frame["user_name"] as? String == nasty)
        #expect(frame["user_type"] as? String == "Kefu")
        #expect(frame["connection_id"] as? String == "0-7")
        #expect(frame["heartbeat_interval"] as? Int == 30_000)
        #expect(frame["server_time"] as? String == "2026-01-20T10:00:00.123Z")
        #expect(frame["heads"] as? [String: Int] == ["c:a.b": 3, "d:x:y": 12_345_678])
        let empty = ServerFrame.welcome(identity, connectionID: "0-7", heartbeatMilliseconds: 1, heads: [], now: now)
        #expect(try object(empty)["heads"] as? [String: Int] == [:])
    }

    @Test("Error is valid JSON whatever the client sent")
    func error() throws {
        let problem = FrameProblem(code: .unknownType, message: "type: \(nasty) is not known")
        let frame = try object(ServerFrame.error(problem, echo: FrameEcho(clientID: nasty), now: now))
        #expect(frame["type"] as? String == "Error")
        #expect(frame["code"] as? String == "unknown_type")
        #expect(frame["message"] as? String == "type: \(nasty) is not known")
        #expect(frame["client_id"] as? String == nasty)
        #expect(frame["timestamp"] as? String == "2026-01-20T10:00:00.123Z")
        #expect(frame["conversation_id"] == nil)
        let named = FrameEcho(conversationID: nasty)
        let other = try object(ServerFrame.error(problem, echo: named, now: now))
        #expect(other["conversation_id"] as? String == nasty)
        #expect(other["client_id"] == nil)
        #expect(try object(ServerFrame.error(problem, echo: FrameEcho(), now: now)).count == 4)
    }

    @Test("Heartbeat and System are valid JSON")
    func others() throws {
        #expect(try object(ServerFrame.heartbeat(now: now))["timestamp"] as? String == "2026-01-20T10:00:00.123Z")
        let end = now.advanced(byMilliseconds: 1000)
        let warning = try object(ServerFrame.system(.sessionExpiring, expiresAt: end, now: now))
        #expect(Set(warning.keys) == ["type", "code", "message", "expires_at", "timestamp"])
        #expect(warning["type"] as? String == "System" && warning["code"] as? String == "session_expiring")
        #expect(warning["expires_at"] as? String == "2026-01-20T10:00:01.123Z")
        let answer = try object(ServerFrame.system(.sessionRenewed, expiresAt: end, clientID: nasty, now: now))
        #expect(answer["code"] as? String == "session_renewed" && answer["client_id"] as? String == nasty)
    }

    @Test("Synced and Gap say how far a client is sent, and what not")
    func positions() throws {
        let heads = [("c:a.b", 3), ("d:x:y", 12_345_678)].map { (conversationID: $0.0, head: $0.1) }
        let synced = try object(ServerFrame.synced(heads: heads))
        #expect(synced["type"] as? String == "Synced")
        #expect(synced["heads"] as? [String: Int] == ["c:a.b": 3, "d:x:y": 12_345_678])
        #expect(synced.count == 2)
        #expect(try object(ServerFrame.synced(heads: []))["heads"] as? [String: Int] == [:])
        let gap = try object(ServerFrame.gap(conversationID: "c:u1", from: 4, to: 204))
        #expect(gap as NSDictionary == ["type": "Gap", "conversation_id": "c:u1", "from": 4, "to": 204])
    }

    @Test("receipts name the member", arguments: [(Receipt.Kind.delivered, "Delivered"), (.read, "Read")])
    func receipts(kind: Receipt.Kind, type: String) throws {
        let frame = try object(
            ServerFrame.receipt(kind, conversationID: "c:u1", userID: "a-1", sequence: 17, now: now)
        )
        #expect(
            frame as NSDictionary == [
                "type": type, "conversation_id": "c:u1", "user_id": "a-1", "seq": 17,
                "timestamp": "2026-01-20T10:00:00.123Z",
            ]
        )
    }

    @Test("Typing says who begins and who stops", arguments: [true, false])
    func typing(isTyping: Bool) throws {
        let frame = try object(ServerFrame.typing(conversationID: "c:u1", userID: "a-1", isTyping: isTyping))
        #expect(
            frame as NSDictionary == [
                "type": "Typing", "conversation_id": "c:u1", "user_id": "a-1", "is_typing": isTyping,
            ]
        )
    }

    @Test("Queued and NoAgentAvailable tell the place and the reason")
    func waiting() throws {
        let expected: NSDictionary = [
            "conversation_id": "c:u1", "position": 3, "reason": nasty, "timestamp": "2026-01-20T10:00:00.123Z",
        ]
        for (type, text) in [
            ("Queued", ServerFrame.queued(conversationID: "c:u1", position: 3, reason: nasty, now: now)),
            (
                "NoAgentAvailable",
                ServerFrame.noAgentAvailable(conversationID: "c:u1", position: 3, reason: nasty, now: now)
            ),
        ] {
            var frame = try object(text)
            #expect(frame.removeValue(forKey: "type") as? String == type)
            #expect(frame as NSDictionary == expected)
        }
    }

    @Test("OnlineUsers is what GET /api/presence answers for the same users")
    func onlineUsers() throws {
        let users = [
            PresentUser(userID: "a1", userName: nasty, userType: .agent, status: .busy, lastSeen: now),
            PresentUser(userID: "u1", userName: "", userType: .customer, status: .online, lastSeen: nil),
        ]
        let frame = try object(ServerFrame.onlineUsers(users))
        #expect(frame["type"] as? String == "OnlineUsers")
        let encoded = try JSONSerialization.jsonObject(with: JSONEncoder().encode(users))
        #expect(frame["users"] as? NSArray == encoded as? NSArray)
        #expect(try #require(object(ServerFrame.onlineUsers([]))["users"] as? [Any]).isEmpty)
    }

    @Test("presence news carry the user as they are now", arguments: PresenceStatus.allCases)
    func presence(status: PresenceStatus) throws {
        for (kind, type) in [(PresenceChange.Kind.joined, "UserJoined"), (.left, "UserLeft"), (.status, "Status")] {
            let change = PresenceChange(
                version: 1,
                kind: kind,
                userID: "a1",
                userName: nasty,
                userType: .agent,
                status: status,
                at: now
            )
            #expect(
                try object(ServerFrame.presence(change)) as NSDictionary == [
                    "type": type, "user_id": "a1", "user_name": nasty, "user_type": "Kefu", "status": status.rawValue,
                    "timestamp": "2026-01-20T10:00:00.123Z",
                ]
            )
        }
    }

    // MARK: - History

    /// A page whose entries have these sequences and, as content, this text.
    private func page(_ sequences: [Int], head: Int, content: String = "x") -> EntryPage {
        var page = EntryPage(head: head)
        for sequence in sequences {
            let start = page.bytes.count
            page.bytes += Array(#""type":"Chat","content":\#(JSONText.quoted(content)),"n":\#(sequence)}"#.utf8)
            page.entries.append(.init(sequence: sequence, text: start..<page.bytes.count))
        }
        return page
    }

    private func history(_ range: EntryRange, _ page: EntryPage) throws -> [String: Any] {
        var bytes = ByteQueue()
        ServerFrame.history(conversationID: "c:u1", range: range, page: page, to: &bytes)
        return try object(bytes.text)
    }

    @Test("History gives a page's entries as they stand, each with its seq")
    func historyPage() throws {
        let frame = try history(.after(6), page([7, 8], head: 9, content: nasty))
        #expect(frame["type"] as? String == "History")
        #expect(frame["conversation_id"] as? String == "c:u1")
        #expect(frame["head"] as? Int == 9)
        #expect(frame.count == 5)
        let messages = try #require(frame["messages"] as? [[String: Any]])
        #expect(messages.map { $0["seq"] as? Int } == [7, 8])
        #expect(messages.map { $0["n"] as? Int } == [7, 8])
        #expect(messages.allSatisfy { $0["content"] as? String == nasty && $0["type"] as? String == "Chat" })
    }

    @Test("without its type it is the answer of GET /api/messages")
    func historyIsRest() throws {
        let page = page([1, 2, 3], head: 3)
        var rest = ByteQueue()
        rest.append("{")
        EntryPageText.write("c:u1", .before(nil), page, to: &rest)
        var frame = try history(.before(nil), page)
        frame["type"] = nil
        #expect(try object(rest.text) as NSDictionary == frame as NSDictionary)
    }

    @Test("has_more looks the way that is paged")
    func hasMore() throws {
        func hasMore(_ range: EntryRange, _ sequences: [Int], head: Int) throws -> Bool? {
            try history(range, page(sequences, head: head))["has_more"] as? Bool
        }
        #expect(try hasMore(.after(0), [1, 2], head: 3) == true)
        #expect(try hasMore(.after(1), [2, 3], head: 3) == false)
        #expect(try hasMore(.after(3), [], head: 3) == false)
        #expect(try hasMore(.after(0), [], head: 0) == false)
        #expect(try hasMore(.before(nil), [2, 3], head: 3) == true)
        #expect(try hasMore(.before(3), [1, 2], head: 3) == false)
        #expect(try hasMore(.before(1), [], head: 3) == false)
        #expect(try hasMore(.before(nil), [], head: 0) == false)
    }

    @Test("writes decimals", arguments: [0, 1, 9, 10, 99, 100, 16_777_215, Int.max])
    func decimals(value: Int) {
        var queue = ByteQueue()
        queue.append(decimal: value)
        #expect(queue.text == String(value))
        #expect(Decimal.digitCount(value) == String(value).count)
    }
}

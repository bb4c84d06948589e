import Contracts
import Core
import Foundation
import Testing

@testable import GatewayService

/// A text that was appended behind others in a batch, with the head that clients get it with.
private struct Written {
    let stored: [UInt8]
    let acknowledged: String
    let frame: [String: Any]

    init(_ write: (inout MessageID, Timestamp, inout ByteQueue) -> (text: Range<Int>, acknowledged: Range<Int>)) throws
    {
        var ids = MessageID()
        var bytes = ByteQueue()
        bytes.append("before")
        let (text, acknowledged) = write(&ids, Timestamp(milliseconds: 1_768_903_200_123), &bytes)
        bytes.append("after")
        let all = Array(bytes.waiting)
        stored = Array(all[text])
        self.acknowledged = String(decoding: all[acknowledged], as: UTF8.self)
        frame = try object(#"{"seq":7,"# + String(decoding: stored, as: UTF8.self))
    }

    /// The members besides those that every entry has, which are checked here.
    func rest(_ type: String, sender: String) throws -> NSDictionary {
        var rest = frame
        #expect(rest.removeValue(forKey: "type") as? String == type)
        #expect(rest.removeValue(forKey: "seq") as? Int == 7)
        #expect((rest.removeValue(forKey: "id") as? String)?.count == MessageID.length)
        #expect(rest.removeValue(forKey: "conversation_id") as? String == "c:u1")
        #expect(rest.removeValue(forKey: "timestamp") as? String == "2026-01-20T10:00:00.123Z")
        #expect(rest.removeValue(forKey: "from_user_id") as? String == sender)
        // What an `Ack` repeats is found again in the stored text.
        let range = try #require(StoredEntry.acknowledged(in: stored))
        #expect(String(decoding: stored[range], as: UTF8.self) == acknowledged)
        let repeated = try object("{\(acknowledged)}")
        #expect(Set(repeated.keys) == ["id", "conversation_id", "timestamp"])
        #expect(repeated["id"] as? String == frame["id"] as? String)
        return rest as NSDictionary
    }
}

@Suite("Stored text of a routing entry")
struct RoutingEntryTests {
    private func decision(_ kind: RoutingDecision.Kind, agent: String? = nil) -> RoutingDecision {
        RoutingDecision(
            decisionID: "r-8Yt",
            number: 2,
            conversationID: "c:u1",
            kind: kind,
            agentID: agent,
            reason: "least_loaded",
            at: Timestamp(milliseconds: 0)
        )
    }

    private func write(_ decision: RoutingDecision) throws -> Written {
        let entry = try #require(RoutingEntry(decision))
        return try Written { entry.write(messageID: &$0, now: $1, to: &$2) }
    }

    @Test("an assignment")
    func assigned() throws {
        let decision = decision(.assigned, agent: "a1")
        #expect(RoutingEntry(decision)?.kind == .assigned(agentID: "a1"))
        let written = try write(decision)
        #expect(
            try written.rest("AgentAssigned", sender: "system") == [
                "agent_id": "a1", "reason": "least_loaded", "client_id": "r-8Yt",
            ]
        )
        #expect(StoredEntry.isFrom(written.stored, sender: EntryKind.system, clientID: "r-8Yt"))
    }

    @Test("a transfer, with all that a decision can say but the agents' note, which is not for the customer")
    func transferred() throws {
        var decision = decision(.transferred, agent: "a2")
        decision.formerAgentID = "a1"
        decision.requestedBy = "a1"
        decision.note = nasty
        decision.reason = "transferred_by"
        #expect(RoutingEntry(decision)?.kind == .transferred(agentID: "a2"))
        #expect(
            try write(decision).rest("Transferred", sender: "system") == [
                "agent_id": "a2", "former_agent_id": "a1", "reason": "transferred_by", "requested_by": "a1",
                "client_id": "r-8Yt",
            ]
        )
    }

    @Test("a transfer to the queue has no agent, and says so")
    func toQueue() throws {
        let decision = decision(.transferred)
        #expect(RoutingEntry(decision)?.kind == .transferred(agentID: nil))
        #expect(
            try write(decision).rest("Transferred", sender: "system") == [
                "agent_id": NSNull(), "reason": "least_loaded", "client_id": "r-8Yt",
            ]
        )
    }

    @Test("an end, which knows how far whoever asked had seen")
    func closed() throws {
        var decision = decision(.closed)
        decision.formerAgentID = "a1"
        decision.seq = 12
        #expect(RoutingEntry(decision)?.kind == .closed(asked: 12))
        #expect(
            try write(decision).rest("ConversationClosed", sender: "system") == [
                "agent_id": NSNull(), "former_agent_id": "a1", "reason": "least_loaded", "client_id": "r-8Yt",
            ]
        )
        decision.seq = nil
        #expect(RoutingEntry(decision)?.kind == .closed(asked: .max))
    }

    @Test("a place in the queue is no entry, nor is an assignment to nobody")
    func none() {
        #expect(RoutingEntry(decision(.queued)) == nil)
        #expect(RoutingEntry(decision(.assigned)) == nil)
    }
}

@Suite("Stored text of a recall")
struct RecallEntryTests {
    @Test("names the message and who takes it back", arguments: [nil, "c1", nasty])
    func recall(clientID: String?) throws {
        let recall = RecallFrame(conversationID: "c:u1", targetSequence: 16_777_215, clientID: clientID)
        let written = try Written { RecallEntry.write(recall, sender: "u1", messageID: &$0, now: $1, to: &$2) }
        var expected: [String: Any] = ["target_seq": 16_777_215]
        expected["client_id"] = clientID
        #expect(try written.rest("Recall", sender: "u1") == expected as NSDictionary)
    }
}

@Suite("Stored text of a chat without addressee")
struct UnaddressedChatTests {
    @Test("ends as the log completes it")
    func completed() throws {
        let content = Array("hi".utf8)
        try content.withUnsafeBytes { slice in
            var chat = ChatFrame(content: JSONSlice(kind: .string, bytes: slice, hasEscapes: false))
            chat.clientID = "c1"
            let parts = ChatEntry.Parts(conversationID: "c:u1", sender: "u1", addressee: nil, file: nil)
            let written = try Written { ChatEntry.write(chat, parts, messageID: &$0, now: $1, to: &$2) }
            let expected: NSDictionary = ["content_type": "Text", "content": "hi", "client_id": "c1"]
            #expect(try written.rest("Chat", sender: "u1") == expected)
            #expect(written.stored.last == UInt8(ascii: "}"))
            let text = String(decoding: written.stored.dropLast(), as: UTF8.self)
            #expect(try object("{\(text),\"to_user_id\":null}")["to_user_id"] is NSNull)
        }
    }
}

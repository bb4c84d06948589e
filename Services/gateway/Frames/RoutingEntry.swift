import Contracts
import Core

/// Presence's decision as an entry of its conversation's log.
///
/// The decision's id is the entry's `client_id` and `EntryKind.system` its sender, so that it is appended once however
/// often it is offered (DESIGN R9). What somebody noted with it stays with presence: notes are for agents, and the
/// customer reads the log.
struct RoutingEntry {
    let decision: RoutingDecision
    let kind: EntryKind
    private let type: StaticString

    private static let types: [StaticString] = ["AgentAssigned", "Transferred", "ConversationClosed"]

    /// Whether a stored text is that of a routing entry.
    static func isText(_ text: UnsafeRawBufferPointer) -> Bool {
        let name = text.dropFirst(#""type":""#.utf8.count)
        return types.contains {
            name.starts(with: UnsafeRawBufferPointer(start: $0.utf8Start, count: $0.utf8CodeUnitCount))
        }
    }

    /// - Returns: `nil` for a decision that is no entry: `queued`, or one that lacks what its kind needs.
    init?(_ decision: RoutingDecision) {
        switch decision.kind {
        case .queued: return nil
        case .assigned:
            guard let agentID = decision.agentID else { return nil }
            kind = .assigned(agentID: agentID)
            type = "AgentAssigned"
        case .transferred:
            kind = .transferred(agentID: decision.agentID)
            type = "Transferred"
        case .closed:
            // Without a head nothing can have come after it.
            kind = .closed(asked: decision.seq ?? .max)
            type = "ConversationClosed"
        }
        self.decision = decision
    }

    /// Appends the stored text (see `StoredEntry`) to a batch's bytes.
    ///
    /// - Returns: Where the text lies, and which part of it an `Ack` repeats.
    func write(
        messageID: inout MessageID,
        now: Timestamp,
        to bytes: inout ByteQueue
    ) -> (text: Range<Int>, acknowledged: Range<Int>) {
        let start = bytes.count
        let acknowledged = EntryHead.write(
            type,
            conversationID: decision.conversationID,
            messageID: &messageID,
            now: now,
            to: &bytes
        )
        bytes.append(#","from_user_id":""#)
        bytes.append(text: EntryKind.system)
        bytes.append(#"","agent_id":"#)
        bytes.append(text: decision.agentID.map { JSONText.quoted($0) } ?? "null")
        bytes.append(#","former_agent_id":"#, quoted: decision.formerAgentID)
        bytes.append(#","reason":"#, quoted: decision.reason)
        bytes.append(#","requested_by":"#, quoted: decision.requestedBy)
        bytes.append(#","client_id":"#, quoted: decision.decisionID)
        bytes.append("}")
        return (start..<bytes.count, acknowledged)
    }
}

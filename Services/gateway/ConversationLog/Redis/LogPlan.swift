import Contracts
import Core
import Foundation

/// What one step does to a conversation, as the function `messagelog_store_1` takes it.
struct LogPlan: Encodable {
    /// Refused in any other version.
    var version: Int
    /// Refused at any other head; -1 for any.
    var head: Int
    /// The agent of the new state; empty without one.
    var agent = ""
    var joined: [String] = []
    /// Where new memberships start.
    var start = 0
    var ended: [String] = []
    /// The message that is recalled.
    var target = 0
    /// Numbers of work that is not due any more.
    var dropped: [String] = []
    /// Work that becomes due, in JSON, by number.
    var due: [String: String] = [:]

    func json() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }
}

/// A conversation's state as Redis keeps it.
struct StoredConversation: Codable {
    /// The outstanding request for an agent.
    struct Need: Codable {
        /// As an item of the outbox.
        let number: Int
        let sequence: Int
        let requestedBy: String
        let requesterType: UserType
        let agentID: String?
    }

    let members: [String]
    let agent: String?
    let lastAgent: String?
    let isRouted: Bool
    let hasAnswered: Bool
    let closedAt: Int
    let need: Need?
    /// The number of the conversation's place in lists.
    let place: Int

    init(_ state: ConversationState, needNumber: Int?, place: Int) {
        members = state.members
        agent = state.agent
        lastAgent = state.lastAgent
        isRouted = state.isRouted
        hasAnswered = state.hasAnswered
        closedAt = state.closedAt
        need = state.need.flatMap { need in
            needNumber.map { number in
                Need(
                    number: number,
                    sequence: need.sequence,
                    requestedBy: need.requestedBy,
                    requesterType: need.requesterType,
                    agentID: need.agentID
                )
            }
        }
        self.place = place
    }

    init(json: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(json)) }

    func json() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }

    func state(of conversationID: String) -> ConversationState {
        var stored = ConversationState.Stored()
        stored.members = members
        stored.agent = agent
        stored.lastAgent = lastAgent
        stored.isRouted = isRouted
        stored.hasAnswered = hasAnswered
        stored.closedAt = closedAt
        stored.need = need.map { need in
            RoutingNeed(
                conversationID: conversationID,
                sequence: need.sequence,
                requestedBy: need.requestedBy,
                requesterType: need.requesterType,
                agentID: need.agentID
            )
        }
        return ConversationState(conversationID: conversationID, stored)
    }
}

/// Work that is due, as Redis keeps it; a need of an agent is part of the state instead.
enum StoredWork: Codable, Equatable {
    case answered(agentID: String, sequence: Int)
    case revoke(fileID: String, source: String)

    init?(_ work: OutboxItem.Work) {
        switch work {
        case .route: return nil
        case .answered(_, let agentID, let sequence): self = .answered(agentID: agentID, sequence: sequence)
        case .revoke(let file): self = .revoke(fileID: file.fileID, source: file.source)
        }
    }

    init(json: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(json)) }

    func json() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }

    func work(of conversationID: String) -> OutboxItem.Work {
        switch self {
        case .answered(let agentID, let sequence):
            .answered(conversationID: conversationID, agentID: agentID, sequence: sequence)
        case .revoke(let fileID, let source): .revoke(GrantedFile(fileID: fileID, source: source))
        }
    }
}

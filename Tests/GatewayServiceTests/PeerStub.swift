import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization
import TestSupport

/// Presence and files as the outbox asks them: answers what it is told to, and notes what it was asked.
final class PeerStub: RouteGroup, Sendable {
    struct State {
        /// Whether everything is answered 503.
        var isAway = false
        /// Whether requests for an agent are noted, and answered later.
        var isHeld = false
        /// Every request, the refused ones too: its path, and the sequence or source that it names.
        var asked: [String] = []
        /// Those that were answered.
        var answered: [String] = []
        /// What requests for an agent and those by hand are answered with.
        var decision: RoutingDecision?
    }

    private let state = Mutex(State())

    func set(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }

    var asked: [String] { state.withLock { $0.asked } }
    var answered: [String] { state.withLock { $0.answered } }

    func register(in router: inout Router) {
        router.add(.post, "/internal/assignments") { [self] in
            let need = try await $0.json(AssignmentRequest.self)
            let answer = try answer("route \(need.conversationID) \(need.seq)", need.conversationID)
            _ = await eventually { !self.state.withLock { $0.isHeld } }
            return answer
        }
        router.add(.post, "/internal/assignments/close") { [self] in
            let request = try await $0.json(RoutingRequest.self)
            return try answer("close \(request.conversationID)", request.conversationID)
        }
        router.add(.post, "/internal/assignments/answered") { [self] in
            let response = try await $0.json(FirstResponse.self)
            return try note("answered \(response.agentID) \(response.seq)")
        }
        router.add(.post, "/internal/assignments/{decision_id}/logged") { [self] in
            let report = try await $0.json(DecisionLogged.self)
            return try note("logged \($0.parameters["decision_id"] ?? "") \(report.seq)")
        }
        router.add(.post, "/internal/files/{file_id}/grants/revoke") { [self] in
            let revocation = try await $0.json(FileGrantRevocation.self)
            return try note("revoke \($0.parameters["file_id"] ?? "") of \(revocation.source)")
        }
    }

    private func note(_ what: String) throws -> Response {
        try state.withLock { state in
            state.asked.append(what)
            guard !state.isAway else { throw Problem.unavailable("away") }
            state.answered.append(what)
        }
        return Response(204)
    }

    private func answer(_ what: String, _ conversationID: String) throws -> Response {
        _ = try note(what)
        let decision = state.withLock { $0.decision }
        return try Response.json(
            RoutingAnswer(
                conversationID: conversationID,
                state: .open,
                agentID: decision?.agentID,
                reason: decision?.reason ?? "",
                agentsPresent: true,
                decision: decision
            )
        )
    }
}

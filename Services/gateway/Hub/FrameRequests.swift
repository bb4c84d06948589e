import Contracts
import Core
import Net
import ServiceKit
import Transport
import WebSocket

/// What clients ask for by frames that store nothing: each is answered, or passed on to other members.
///
/// While one is under way its connection is read no further, so there is at most one for each.
final class FrameRequests {
    /// Sends a frame to users, wherever they are connected.
    typealias Tell = @Sendable (_ userIDs: [String], _ frame: String) -> Void

    /// What a `History` may hold, so that it fits into what may wait for a client.
    private static let historyBytesMax = 256 * 1024

    private let log: any ConversationLog
    private let directory: UserDirectory
    private let people: PresenceDirectory
    private let entrance: SessionEntrance
    private let audit: AuditLink
    private let tell: Tell

    init(
        log: any ConversationLog,
        directory: UserDirectory,
        people: PresenceDirectory,
        entrance: SessionEntrance,
        audit: AuditLink,
        tell: @escaping Tell
    ) {
        self.log = log
        self.directory = directory
        self.people = people
        self.entrance = entrance
        self.audit = audit
        self.tell = tell
    }

    /// `Typing`: to the conversation's other members, and to whom it names.
    func typing(_ frame: TypingFrame, _ echo: FrameEcho, from session: ClientSession) {
        let identity = session.identity
        session.ask(echo) { [log, directory, tell] () async throws(FrameProblem) in
            let conversationID = try await Self.conversation(frame.conversationID, frame.addressee, identity, directory)
            var readers = Set(try await log.members(of: conversationID))
            if let addressee = frame.addressee { readers.insert(addressee) }
            readers.remove(identity.userID)
            let text = ServerFrame.typing(
                conversationID: conversationID,
                userID: identity.userID,
                isTyping: frame.isTyping
            )
            tell(Array(readers), text)
        } then: { _, _ in
        }
    }

    /// `HistoryRequest`: a page, as over REST.
    func history(_ frame: HistoryFrame, _ echo: FrameEcho, from session: ClientSession) {
        let (identity, address) = (session.identity, session.remoteAddress)
        session.ask(echo) { [log, directory, audit] () async throws(FrameProblem) -> (String, EntryPage) in
            let conversationID = try await Self.conversation(frame.conversationID, frame.with, identity, directory)
            audit.read(conversationID, by: identity, from: address)
            let page: EntryPage = try await log.answer {
                log.read(
                    conversationID,
                    frame.range,
                    limit: frame.limit ?? HistoryFrame.limitDefault,
                    bytesMax: Self.historyBytesMax,
                    $0
                )
            }
            return (conversationID, page)
        } then: { session, answer in
            var bytes = ByteQueue()
            ServerFrame.history(conversationID: answer.0, range: frame.range, page: answer.1, to: &bytes)
            session.connection.send(.text, bytes.waiting)
        }
    }

    /// `OnlineUsers`: everyone for an agent, the agents for a customer.
    func onlineUsers(_ type: UserType?, _ echo: FrameEcho, from session: ClientSession) {
        let identity = session.identity
        session.ask(echo) { [people] () async throws(FrameProblem) in
            try await people.online(type, for: identity)
        } then: { session, users in
            session.connection.send(text: ServerFrame.onlineUsers(users))
        }
    }

    /// `Status`: stored by presence, which tells everybody whom it concerns.
    func status(_ status: PresenceStatus, _ echo: FrameEcho, from session: ClientSession) {
        let userID = session.identity.userID
        session.ask(echo) { [people] () async throws(FrameProblem) in
            try await people.setStatus(status, of: userID)
        } then: { _, _ in
        }
    }

    /// `Session`: the socket goes over to another session of its user.
    func session(_ sessionID: String, _ echo: FrameEcho, from session: ClientSession) {
        let identity = session.identity
        session.ask(echo) { [entrance] () async throws(FrameProblem) in
            try await entrance.verify(sessionID, of: identity)
        } then: { [entrance] session, fresh in
            let verdict = entrance.pending.end(fresh.hash)
            // The session that it had has ended meanwhile.
            guard session.connection.isOpen else { return }
            do throws(FrameProblem) {
                try session.shard.renew(session, fresh, verdict)
                session.connection.send(
                    text: ServerFrame.system(
                        .sessionRenewed,
                        expiresAt: fresh.expiresAt,
                        clientID: echo.clientID,
                        now: .now()
                    )
                )
            } catch {
                session.refuse(error, echo)
            }
        }
    }

    /// A receipt for a conversation that the connection has not seen yet.
    func receipt(_ receipt: Receipt, _ echo: FrameEcho, from session: ClientSession) {
        let (identity, id) = (session.identity, session.id)
        session.ask(echo) { [log] () async throws(FrameProblem) in
            guard ConversationName.isReadable(receipt.conversationID, by: identity),
                try await log.hasMember(identity.userID, receipt.conversationID)
            else { throw ConversationName.unknown }
            log.move(receipt, of: identity.userID, from: id)
        } then: { _, _ in
        }
    }

    /// The conversation that a frame names, by itself or by the other user.
    private static func conversation(
        _ conversationID: String?,
        _ other: String?,
        _ identity: Identity,
        _ directory: UserDirectory
    ) async throws(FrameProblem) -> String {
        if let conversationID {
            guard ConversationName.isReadable(conversationID, by: identity) else { throw ConversationName.unknown }
            return conversationID
        }
        guard let other else { throw .field("conversation_id", "is required") }
        return try ConversationName.between(identity, other, try await directory.type(of: other, for: identity))
    }
}

extension ConversationLog {
    /// `members` for tasks.
    func members(of conversationID: String) async throws(FrameProblem) -> [String] {
        try await answer { members(of: conversationID, $0) }
    }

    /// Whether `user` is, or was, a member.
    func hasMember(_ user: String, _ conversationID: String) async throws(FrameProblem) -> Bool {
        try await answer { position(of: user, in: conversationID, $0) } != nil
    }

    /// A question to the log, for tasks.
    ///
    /// - Throws: `FrameProblem` `unavailable`.
    func answer<Value: Sendable>(
        _ ask: (@escaping @Sendable (Result<Value, any Error>) -> Void) -> Void
    ) async throws(FrameProblem) -> Value {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                ask { continuation.resume(with: $0) }
            }
        } catch {
            throw FrameProblem(code: .unavailable, message: "the log cannot be read now; try again")
        }
    }
}

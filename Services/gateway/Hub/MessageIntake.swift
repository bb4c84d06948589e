import Core
import Net

/// The way of a loop's messages into the log: checks whom they are for, writes their texts into the turn's batch, and
/// hands that over at the turn's end.
///
/// On the loop.
final class MessageIntake {
    private let loop: EventLoop
    private let log: any ConversationLog
    private let directory: UserDirectory
    private let fileGrants: FileGrants
    private let unansweredMax: Int
    private var messageIDs = MessageID()
    private var batch: AppendBatch?
    /// Messages of this loop's connections that the log has not answered.
    private var unanswered = 0
    private var lastBatchBytes = 0
    private var lastBatchCount = 0

    init(
        loop: EventLoop,
        log: any ConversationLog,
        directory: UserDirectory,
        fileGrants: FileGrants,
        unansweredMax: Int
    ) {
        self.loop = loop
        self.log = log
        self.directory = directory
        self.fileGrants = fileGrants
        self.unansweredMax = unansweredMax
    }

    /// Whether so much waits for the log that senders are read more slowly.
    var isLogBehind: Bool { unanswered >= unansweredMax }

    /// A message of this loop was answered by the log.
    func answered() { unanswered -= 1 }

    /// A `Chat` of a session: appended at once when all that it needs is known, else after a look-up.
    func take(_ chat: ChatFrame, from session: ClientSession) throws(FrameProblem) {
        guard chat.fileID == nil else { return lookUp(chat, for: session) }
        guard let addressee = chat.addressee else {
            return append(chat, to: try Self.ownConversation(session.identity), file: nil, from: session)
        }
        guard let type = directory.cached(addressee, for: session.identity) else { return lookUp(chat, for: session) }
        let conversationID = try ConversationName.between(session.identity, addressee, type)
        append(chat, to: conversationID, file: nil, from: session)
    }

    /// A `Recall`: whether it is allowed is the log's to say.
    func take(_ recall: RecallFrame, from session: ClientSession) throws(FrameProblem) {
        guard ConversationName.isReadable(recall.conversationID, by: session.identity) else {
            throw ConversationName.unknown
        }
        let batch = openBatch()
        let ranges = RecallEntry.write(
            recall,
            sender: session.identity.userID,
            messageID: &messageIDs,
            now: .now(),
            to: &batch.bytes
        )
        enter(
            Append(
                conversationID: recall.conversationID,
                sender: session.identity.userID,
                senderType: session.identity.userType,
                addressee: nil,
                clientID: recall.clientID,
                kind: .recall(target: recall.targetSequence),
                text: ranges.text,
                acknowledged: ranges.acknowledged,
                file: nil,
                origin: session.id
            ),
            batch,
            session
        )
    }

    /// Where a customer's message without addressee goes; an agent has to name somebody.
    private static func ownConversation(_ identity: Identity) throws(FrameProblem) -> String {
        guard identity.userType == .customer else {
            throw .field("to_user_id", "is required from an agent", .recipientRequired)
        }
        return ConversationName.ofCustomer(identity.userID)
    }

    private func append(
        _ chat: ChatFrame,
        to conversationID: String,
        file: (member: String, granted: GrantedFile)?,
        from session: ClientSession
    ) {
        let batch = openBatch()
        let parts = ChatEntry.Parts(
            conversationID: conversationID,
            sender: session.identity.userID,
            addressee: chat.addressee,
            file: file?.member
        )
        let (text, acknowledged) = ChatEntry.write(
            chat,
            parts,
            messageID: &messageIDs,
            now: .now(),
            to: &batch.bytes
        )
        enter(
            Append(
                conversationID: conversationID,
                sender: session.identity.userID,
                senderType: session.identity.userType,
                addressee: chat.addressee,
                clientID: chat.clientID,
                kind: .chat,
                text: text,
                acknowledged: acknowledged,
                file: file?.granted,
                origin: session.id
            ),
            batch,
            session
        )
    }

    private func enter(_ append: Append, _ batch: AppendBatch, _ session: ClientSession) {
        batch.appends.append(append)
        unanswered += 1
        session.appendBegan(append.kind)
    }

    private func openBatch() -> AppendBatch {
        if let batch { return batch }
        let fresh = AppendBatch()
        // About as much as last time: growing step by step would copy every byte twice.
        fresh.bytes.reserveCapacity(lastBatchBytes)
        fresh.appends.reserveCapacity(lastBatchCount)
        batch = fresh
        loop.atTurnEnd { [self] in
            guard let full = batch else { return }
            batch = nil
            lastBatchBytes = full.bytes.count
            lastBatchCount = full.appends.count
            log.append(Handover(full))
        }
        return fresh
    }

    // MARK: - Look-ups

    private struct Answer: Sendable {
        let conversationID: String
        let file: (member: String, granted: GrantedFile)?
    }

    /// Asks other services what a message needs; the connection is read no further meanwhile, so order is kept.
    private func lookUp(_ chat: ChatFrame, for session: ClientSession) {
        let content = Array(chat.content.bytes)
        let held = HeldChat(chat)
        let identity = session.identity
        session.ask(FrameEcho(clientID: held.clientID)) { [directory, fileGrants] () async throws(FrameProblem) in
            try await Self.ask(held, identity, directory, fileGrants)
        } then: { [self] session, answer in
            content.withUnsafeBytes { bytes in
                append(held.frame(bytes), to: answer.conversationID, file: answer.file, from: session)
            }
        }
    }

    private static func ask(
        _ held: HeldChat,
        _ identity: Identity,
        _ directory: UserDirectory,
        _ fileGrants: FileGrants
    ) async throws(FrameProblem) -> Answer {
        let conversationID: String
        var readers: [String] = []
        if let addressee = held.addressee {
            let type = try await directory.type(of: addressee, for: identity)
            conversationID = try ConversationName.between(identity, addressee, type)
            // Agents may read every file.
            if type == .customer { readers = [addressee] }
        } else {
            conversationID = try ownConversation(identity)
        }
        guard let fileID = held.fileID else { return Answer(conversationID: conversationID, file: nil) }
        let granted = GrantedFile(
            fileID: fileID,
            source: GrantedFile.source(
                conversationID: conversationID,
                sender: identity.userID,
                clientID: held.clientID
            )
        )
        // Before the append: a crash in between leaves no message whose file cannot be read.
        let member = try await fileGrants.grant(granted, sender: identity, to: readers)
        return Answer(conversationID: conversationID, file: (member, granted))
    }
}

/// A `Chat` without its frame's bytes, while other services are asked.
private struct HeldChat: Sendable {
    let contentType: ContentType
    let hasEscapes: Bool
    let addressee: String?
    let clientID: String?
    let fileID: String?

    init(_ chat: ChatFrame) {
        contentType = chat.contentType
        hasEscapes = chat.content.hasEscapes
        addressee = chat.addressee
        clientID = chat.clientID
        fileID = chat.fileID
    }

    func frame(_ content: UnsafeRawBufferPointer) -> ChatFrame {
        var chat = ChatFrame(content: JSONSlice(kind: .string, bytes: content, hasEscapes: hasEscapes))
        chat.contentType = contentType
        chat.addressee = addressee
        chat.clientID = clientID
        chat.fileID = fileID
        return chat
    }
}

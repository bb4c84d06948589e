import Core
import Storage

/// Takes the content of a message away (DESIGN R13): whether it may be, and the rewriting of its row.
///
/// On the writer's thread only.
struct MessageRecall {
    /// The message, as it is stored.
    struct Target {
        let row: Int64
        let text: [UInt8]
    }

    enum Verdict {
        case allowed(Target)
        /// It was recalled before: that recall is the answer.
        case repeated(sequence: Int, stored: [UInt8])
        case refused(FrameProblem)
    }

    let connection: Connection
    let lookup: EntryLookup

    /// Whether `sender` may recall the message at `target`.
    ///
    /// - Parameters:
    ///   - conversation: `nil` when there is none.
    ///   - recalledAt: When it was asked; `nil` is too late.
    func judge(
        _ target: Int,
        in conversation: LoadedConversation?,
        by sender: String,
        at recalledAt: Timestamp?
    ) throws -> Verdict {
        guard let conversation, target >= 1, target <= conversation.head else {
            return .refused(FrameProblem(code: .messageUnknown, message: "target_seq: there is no such entry"))
        }
        let (row, text) = try lookup.entry(target, of: conversation.number)
        let stored = text.withUnsafeBytes { bytes in
            let glance = StoredEntry.Glance(bytes)
            return (
                isChat: glance.isChat, isOwn: glance.isFrom(sender), recall: glance.recallSequence,
                time: glance.timestamp
            )
        }
        guard stored.isChat, stored.isOwn else {
            let rule = stored.isChat ? "another's message" : "not a message"
            return .refused(FrameProblem(code: .recallForbidden, message: "target_seq: is \(rule)"))
        }
        if let recall = stored.recall {
            return .repeated(sequence: recall, stored: try lookup.entry(recall, of: conversation.number).text)
        }
        guard let recalledAt, let sentAt = stored.time,
            recalledAt.milliseconds - sentAt.milliseconds <= EntryKind.recallWindow
        else {
            let seconds = EntryKind.recallWindow / 1000
            return .refused(
                FrameProblem(code: .recallTooLate, message: "target_seq: was sent more than \(seconds) seconds ago")
            )
        }
        return .allowed(Target(row: row, text: text))
    }

    /// Rewrites the message's row; its file, if it carried one, is to be revoked.
    func rewrite(_ target: Target, recalledBy sequence: Int) throws -> GrantedFile? {
        let text = RecalledEntry.text(of: target.text, recalledBy: sequence)
        try text.withUnsafeBytes { bytes in
            let update = try connection.prepare("UPDATE log SET b = ? WHERE i = ?")
            try update.bind(text: bytes, at: 1)
            try update.bind(target.row, at: 2)
            try update.run()
        }
        return GrantedFile(storedText: target.text)
    }
}

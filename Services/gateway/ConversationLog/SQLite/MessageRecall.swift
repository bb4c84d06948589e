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
            return .refused(RecallRule.unknown)
        }
        let (row, text) = try lookup.entry(target, of: conversation.number)
        switch RecallRule.judge(text, by: sender, at: recalledAt) {
        case .allowed: return .allowed(Target(row: row, text: text))
        case .repeated(let recall):
            return .repeated(sequence: recall, stored: try lookup.entry(recall, of: conversation.number).text)
        case .refused(let problem): return .refused(problem)
        }
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

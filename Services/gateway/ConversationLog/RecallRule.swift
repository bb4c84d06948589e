import Core

/// Whether a message may be recalled (DESIGN R13).
enum RecallRule {
    enum Verdict {
        case allowed
        /// It was recalled before, by the entry of this sequence, which is the answer.
        case repeated(sequence: Int)
        case refused(FrameProblem)
    }

    /// There is no entry of that sequence.
    static let unknown = FrameProblem(code: .messageUnknown, message: "target_seq: there is no such entry")

    /// Whether `sender` may recall the entry with this stored text.
    ///
    /// - Parameter recalledAt: When it was asked; `nil` is too late.
    static func judge(_ text: [UInt8], by sender: String, at recalledAt: Timestamp?) -> Verdict {
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
        if let recall = stored.recall { return .repeated(sequence: recall) }
        guard let recalledAt, let sentAt = stored.time,
            recalledAt.milliseconds - sentAt.milliseconds <= EntryKind.recallWindow
        else {
            let seconds = EntryKind.recallWindow / 1000
            return .refused(
                FrameProblem(code: .recallTooLate, message: "target_seq: was sent more than \(seconds) seconds ago")
            )
        }
        return .allowed
    }
}

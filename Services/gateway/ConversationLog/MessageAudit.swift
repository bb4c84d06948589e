import Core

/// Counts and logs what a commit has made of each message, and logs recalls and what routing did: ids and sizes, never
/// contents.
///
/// The lines of one commit are put together and written at once, on the writer's thread: a message costs some tens of
/// nanoseconds here, and a line written by itself more than the rest of its way.
struct MessageAudit: Sendable {
    let log: Log
    let metrics: GatewayMetrics

    func record(_ batches: [AppendBatch]) {
        let isLogged = log.level <= .info
        var lines = ByteQueue()
        let now = Timestamp.now()
        var (accepted, repeated, failed) = (0, 0, 0)
        for batch in batches {
            for append in batch.appends {
                let isMessage = append.kind == .chat
                switch append.outcome {
                case .appended(let sequence, _):
                    accepted += isMessage ? 1 : 0
                    if isLogged { writeLine(append, sequence, batch, now, to: &lines) }
                case .repeated: repeated += isMessage ? 1 : 0
                case .failed, .pending: failed += isMessage ? 1 : 0
                }
            }
        }
        metrics.committed(accepted: accepted, repeated: repeated, failed: failed)
        log.write(lines: lines.waiting)
    }

    private func writeLine(
        _ append: Append,
        _ sequence: Int,
        _ batch: AppendBatch,
        _ now: Timestamp,
        to lines: inout ByteQueue
    ) {
        lines.append(#"{"ts":""#)
        now.write(into: lines.reserve(Timestamp.wireLength).assumingMemoryBound(to: UInt8.self))
        lines.append(#"","level":"info","service":"gateway","event":""#)
        lines.append(Self.event(append.kind))
        lines.append(#"","#)
        // `"id":…,"conversation_id":…,"timestamp":…`, as the entry has them.
        lines.append(UnsafeRawBufferPointer(rebasing: batch.bytes.waiting[append.acknowledged]))
        lines.append(#","seq":"#)
        lines.append(decimal: sequence)
        lines.append(#","from_user_id":""#)
        lines.append(text: append.sender)
        lines.append(#"","bytes":"#)
        lines.append(decimal: append.text.count)
        lines.append("}\n")
    }

    private static func event(_ kind: EntryKind) -> StaticString {
        switch kind {
        case .chat: "message_accepted"
        case .recall: "message_recalled"
        case .assigned: "conversation_assigned"
        case .transferred: "conversation_transferred"
        case .closed: "conversation_closed"
        }
    }
}

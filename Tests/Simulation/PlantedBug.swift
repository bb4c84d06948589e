/// Mistakes that the simulation has to find: each breaks one rule of the delivery or routing protocol.
enum PlantedBug: String, CaseIterable, Sendable {
    /// A gateway reads a new connection's heads before presence knows of it, and not after (DESIGN R2).
    case registerAfterRead = "register-after-read"
    /// Heads are not read again when everything was announced again (R2).
    case noReadAfterAnnouncing = "no-read-after-announcing"
    /// A location is good for the lease from the answer on, not from the question (R4).
    case leaseFromReceipt = "lease-from-receipt"
    /// Presence's answer to any join is taken for the answer to this connection's (R2).
    case foreignJoinAnswer = "foreign-join-answer"
    /// Presence applies a copy of a leave that was applied before (R3).
    case lateLeave = "late-leave"
    /// A hint that was not taken is given up (R5).
    case hintNotRetried = "hint-not-retried"
    /// Nobody looks again for what a gateway committed and, killed, told nobody (R1, R6).
    case crashBetweenCommitAndHint = "crash-between-commit-and-hint"
    /// A gateway that was lost is not made up for: only the sweep finds what it had told nobody (R6).
    case lossNotHeard = "loss-not-heard"
    /// A decision is told once, to the gateway that asked for it (R9).
    case crashBetweenDecisionAndEntry = "crash-between-decision-and-entry"
    /// The `Ack` of a repeat does not wait for its entry's place (R7).
    case repeatAcknowledgedAtOnce = "repeat-acknowledged-at-once"
    /// A live entry is sent whatever the connection was sent before (invariant 2).
    case cursorNotChecked = "cursor-not-checked"
    /// A page that may hold own entries is sent before their answers are there, as another's (R7).
    case pageNotHeld = "page-not-held"
    /// An `Ack` that was kept does not follow the entry that fills the gap before it (R7).
    case keptAckPassedOver = "kept-ack-passed-over"
    /// A gap that no hint has filled is not read.
    case gapNotRead = "gap-not-read"

    /// Which world can show it.
    var world: WorldKind { self == .crashBetweenDecisionAndEntry ? .routing : .delivery }
}

/// The two halves of the protocol, each with a world of its own.
enum WorldKind: String, CaseIterable, Sendable {
    /// Connections, hints, locations and what clients are sent.
    case delivery
    /// The queue, decisions and their entries.
    case routing
}

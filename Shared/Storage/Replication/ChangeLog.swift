package import Core

/// A place in the history of a database: the number of its last record, and a token that only this history has there.
///
/// The token tells a history from one that was restored from a backup, or lost its end when another server took over.
package struct ChangeMark: Sendable, Hashable {
    /// Counts from 1; 0 is the beginning of every history.
    package let number: Int64
    /// 16 random bytes as text; empty at the beginning.
    package let token: String

    package init(number: Int64, token: String) {
        self.number = number
        self.token = token
    }

    /// Before the first record.
    package static let beginning = ChangeMark(number: 0, token: "")
}

/// One step of a database's history.
package struct ChangeRecord: Sendable, Equatable {
    /// What it does to a copy.
    package enum Kind: String, Sendable {
        /// What one transaction changed (`Connection.apply`).
        case changes = "c"
        /// The whole database from here on is an image that differs from what the steps before make.
        case replaced = "r"
        /// The steps before are in an image now; nothing has changed.
        case compacted = "k"
        /// Nothing: it takes a place that an earlier attempt might still have come to.
        case fence = "f"
    }

    package let mark: ChangeMark
    package let kind: Kind
    /// Of `.changes`; else empty.
    package let bytes: [UInt8]

    package init(mark: ChangeMark, kind: Kind, bytes: [UInt8] = []) {
        self.mark = mark
        self.kind = kind
        self.bytes = bytes
    }
}

/// Why a `ChangeLog` gave no answer.
package enum ChangeLogError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It cannot be reached, or is not ready yet; what was asked was not done.
    case unavailable(String)
    /// It has no room for what is to be added; nothing was done.
    case full(String)
    /// It answers, and asking again does not help: it refuses us, or what it has is no history. Nothing was done.
    case unusable(String)
    /// The connection was lost, or time ran out, after the request was sent: it may have been done, or be done yet.
    case outcomeUnknown(String)

    package var description: String {
        switch self {
        case .unavailable(let reason): "the change log cannot be reached: \(reason)"
        case .full(let reason): "the change log is full: \(reason)"
        case .unusable(let reason): "the change log cannot be used: \(reason)"
        case .outcomeUnknown(let reason): "the change log has not answered: \(reason)"
        }
    }

    /// Whether it passes by itself.
    package var isPassing: Bool { if case .unusable = self { false } else { true } }
}

extension ChangeLogError: ProblemConvertible {
    package var problem: Problem {
        switch self {
        case .unavailable, .unusable: .unavailable("the store cannot be reached")
        case .full: Problem(507, .storageFull, "the store is full; nothing was saved")
        case .outcomeUnknown: .unavailable("the store has not answered; what was asked may have been done")
        }
    }
}

/// The history of one database, shared by all who have a copy of it.
///
/// Records are appended one behind the other, each only right behind the record that its author has seen: that is what
/// makes the transactions of all copies one sequence. Calls block, with time-outs of their own: they are made on the
/// database's queue.
package protocol ChangeLog: AnyObject, Sendable {
    /// The newest image and its place; `nil` when the history has not begun.
    func latestImage() throws(ChangeLogError) -> (mark: ChangeMark, bytes: [UInt8])?

    /// Records behind `mark`, oldest first, not necessarily all; empty when there are none.
    ///
    /// - Returns: `nil` when `mark` is not, or no longer, a place of this history.
    func records(after mark: ChangeMark) throws(ChangeLogError) -> [ChangeRecord]?

    /// Appends a record right behind `mark`, durably.
    ///
    /// - Parameter evenWhenFull: Whether it is appended also where there is no room for more (`.full`).
    /// - Returns: False, and nothing is appended, when `mark` is not the last place.
    func append(
        _ record: ChangeRecord,
        after mark: ChangeMark,
        evenWhenFull: Bool
    ) throws(ChangeLogError) -> Bool

    /// Stores an image and appends its record (`.replaced` or `.compacted`) right behind `mark`; forgets what is older.
    ///
    /// - Returns: As `append`.
    func publish(
        _ image: UnsafeRawBufferPointer,
        _ record: ChangeRecord,
        after mark: ChangeMark
    ) throws(ChangeLogError) -> Bool
}

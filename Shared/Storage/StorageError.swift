package import Core
import Glibc

/// What keeps a database from being opened or used, apart from SQLite's own errors.
package enum StorageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A system call on the file, its directory or its lock failed.
    case file(path: String, call: String, errno: Int32)
    /// Another process owns the file; `owner` is its process id when known.
    case owned(path: String, owner: Int32?, advice: String)
    /// The file was migrated by a newer version of the program, which has these steps beyond ours.
    case newerVersion(path: String, unknownSteps: [String])
    /// The file's step at `position` (from 1) is not the one that this program has there.
    case differentHistory(path: String, position: Int, inFile: String, inProgram: String)
    /// More calls are waiting for the database than it takes.
    case overloaded(waitingMax: Int)
    /// Other copies of a replicated database were always first.
    case contended(attempts: Int)
    /// The log of a replicated database has no image any more, or one that an older program has made.
    case historyLost(path: String)
    /// `close()` has been called.
    case closed(path: String)

    package var description: String {
        switch self {
        case .file(let path, let call, let code):
            return "\(path): \(call) failed: \(String(cString: strerror(code)))"
        case .owned(let path, let owner, let advice):
            let process = owner.map { "process \($0)" } ?? "another process"
            return "\(path) is in use by \(process), and one process owns it. \(advice)"
        case .newerVersion(let path, let steps):
            return "\(path) was written by a newer version of this program (its migrations "
                + "\(steps.joined(separator: ", ")) are unknown here): start that version, or restore a backup"
        case .differentHistory(let path, let position, let inFile, let inProgram):
            return "\(path): migration \(position) is '\(inFile)' in the file and '\(inProgram)' in this program: "
                + "it is another program's file"
        case .overloaded(let waitingMax): return "more than \(waitingMax) calls are waiting for the database"
        case .contended(let attempts): return "other copies of the database were first \(attempts) times"
        case .historyLost(let path):
            return
                "the history of the database that \(path) is a copy of was lost, or replaced by an older one: restore "
                + "it, or start again with what is there"
        case .closed(let path): return "\(path) is closed"
        }
    }
}

extension StorageError: ProblemConvertible {
    /// 503 when overloaded or closing, else 500 without text.
    package var problem: Problem {
        switch self {
        case .overloaded, .contended, .closed: .unavailable("the store is busy")
        case .file, .owned, .newerVersion, .differentHistory, .historyLost: Problem(500, .internalError, "")
        }
    }
}

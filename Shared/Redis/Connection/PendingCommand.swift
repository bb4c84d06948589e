/// What a caller is told: the answer, or why there is none.
package typealias RedisCompletion = (Result<RESPValue, RedisError>) -> Void

/// A command on its way to its answer; lives on the client's loop.
struct PendingCommand {
    enum Kind {
        /// A caller's.
        case command
        /// A caller's, sent a second time after the server was given its functions anew.
        case repeated
        /// Of the client itself, on this one connection.
        case own
    }

    let command: RedisCommand
    let kind: Kind
    /// Goes out with `ASKING` before it.
    let isAsking: Bool
    /// In milliseconds of the monotonic clock; set anew when it waited for a connection.
    var deadline: Int64
    let completion: RedisCompletion
    /// Where its last byte lies in what the connection has been given to write.
    var end = 0

    /// What goes before a command that follows an `ASK`; its answer says nothing.
    static func asking(deadline: Int64) -> PendingCommand {
        PendingCommand(command: askingCommand, kind: .own, isAsking: false, deadline: deadline) { _ in }
    }

    private static let askingCommand = RedisCommand("ASKING")
}

package import Net

/// What commands are sent through: a server, or a cluster.
///
/// Every command is answered or failed after `commandTimeout` and `patience` at the latest (in a cluster, after as many
/// of these as it is redirected). Sending is not cancelled with the caller's task: what is in a pipeline stays there.
package protocol RedisSending: Sendable {
    /// What the clients' work runs on.
    var loop: EventLoop { get }

    /// Sends a command at the end of the loop's turn, together with all others of that turn; on `loop` only.
    ///
    /// - Parameters:
    ///   - command: What to send.
    ///   - completion: Called on the loop, once; at the limits and without a connection before this returns.
    func send(_ command: RedisCommand, then completion: @escaping RedisCompletion)

    /// Fails every command without an answer and closes every connection; later commands fail.
    func shutDown() async
}

extension RedisSending {
    /// Sends a command and waits for its answer; from anywhere.
    ///
    /// - Returns: The answer; no error at its top, but possibly inside of it, as in that of `EXEC`.
    /// - Throws: `RedisError`, `.server` for an answer that is an error.
    package func send(_ command: RedisCommand) async throws(RedisError) -> RESPValue {
        let result: Result<RESPValue, RedisError> = await withCheckedContinuation { continuation in
            let work: @Sendable () -> Void = { send(command) { continuation.resume(returning: $0) } }
            if loop.isCurrent { work() } else { loop.submit(work) }
        }
        return try result.get()
    }
}

extension LoopBound {
    /// Does something with the value on its loop, and waits for that.
    func onLoop(_ work: @escaping @Sendable (Value) -> Void) async {
        await withCheckedContinuation { done in
            loop.submit {
                work(value)
                done.resume()
            }
        }
    }
}

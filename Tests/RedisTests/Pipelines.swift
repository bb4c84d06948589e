import Net
import Redis

/// What came of one command of a pipeline.
struct Outcome: Sendable {
    /// Its place among the commands.
    let index: Int
    let result: Result<RESPValue, RedisError>

    /// The error, if it is one.
    var error: RedisError? { if case .failure(let error) = result { error } else { nil } }
}

/// Gathers outcomes in the order in which they come; lives on a loop.
private final class Gathering {
    private var outcomes: [Outcome] = []
    private let count: Int
    private let done: ([Outcome]) -> Void

    init(_ count: Int, _ done: @escaping ([Outcome]) -> Void) {
        self.count = count
        self.done = done
        outcomes.reserveCapacity(count)
    }

    func add(_ index: Int, _ result: Result<RESPValue, RedisError>) {
        outcomes.append(Outcome(index: index, result: result))
        if outcomes.count == count { done(outcomes) }
    }
}

extension RedisSending {
    /// Sends all of `commands` in one turn of the loop.
    ///
    /// - Parameters:
    ///   - commands: What to send.
    ///   - sent: Called in that turn, at whose end they are written.
    /// - Returns: What came of each, in the order of the answers.
    func pipeline(_ commands: [RedisCommand], sent: @escaping @Sendable () -> Void = {}) async -> [Outcome] {
        await withCheckedContinuation { continuation in
            loop.submit {
                let gathering = Gathering(commands.count) { continuation.resume(returning: $0) }
                for (index, command) in commands.enumerated() {
                    send(command) { gathering.add(index, $0) }
                }
                sent()
            }
        }
    }

    /// What comes of one command.
    func outcome(_ command: RedisCommand) async -> Result<RESPValue, RedisError> {
        do throws(RedisError) { return .success(try await send(command)) } catch { return .failure(error) }
    }

    /// Why a command fails; `nil` when it does not.
    func failure(_ command: RedisCommand) async -> RedisError? {
        if case .failure(let error) = await outcome(command) { error } else { nil }
    }
}

/// The log's append, as the gateway will have it: a repeat of a digest answers the number that it has.
enum ChatLog {
    static let library = RedisLibrary(
        name: "chatlog",
        version: 1,
        source: """
            redis.register_function('append_1', function(keys, args)
              local seq = redis.call('HGET', keys[2], args[1])
              if seq then return seq end
              local id = redis.call('XADD', keys[1], '0-*', 'e', args[2])
              redis.call('HSET', keys[2], args[1], string.sub(id, 3))
              return id
            end)
            """
    )

    static func append(_ conversation: String, _ id: Int, _ text: String = "text") -> RedisCommand {
        RedisCommand(
            "FCALL",
            "append_1",
            2,
            .key("{c:\(conversation)}"),
            .key("{c:\(conversation)}:i"),
            .integer(id),
            .text(text)
        )
    }

    /// The number in an answer: `0-N` when it is new, `N` when it is a repeat.
    static func sequence(_ answer: RESPValue) -> Int? {
        answer.text.flatMap { Int($0.hasPrefix("0-") ? String($0.dropFirst(2)) : $0) }
    }
}

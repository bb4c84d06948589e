import Core
import Net
import Redis
import Testing

@testable import GatewayService

@Suite("What is said of a step on Redis whose outcome is not known")
struct LogCallsTests {
    /// Answers each command with the next of these, the last again and again.
    private final class Scripted: RedisSending {
        let loop: EventLoop
        private let answers: LoopBound<Answers>

        private final class Answers {
            var left: [Result<RESPValue, RedisError>]
            init(_ answers: [Result<RESPValue, RedisError>]) { left = answers }
        }

        init(_ loop: EventLoop, _ answers: [Result<RESPValue, RedisError>]) {
            self.loop = loop
            self.answers = LoopBound(handing: Answers(answers), to: loop)
        }

        func send(_ command: RedisCommand, then completion: @escaping RedisCompletion) {
            let answers = answers.value
            completion(answers.left.count > 1 ? answers.left.removeFirst() : answers.left[0])
        }

        func shutDown() async {}
    }

    private static let full = RedisError.server(RedisServerError(.outOfMemory, "command not allowed"))
    private static let lost = RedisError.connectionLost(mayHaveRun: true)

    /// What a client is told, or `nil` when the step was done.
    private func problem(
        after first: RedisError,
        _ repeats: Result<RESPValue, RedisError>...
    ) async throws -> FrameProblem? {
        let loop = try EventLoopGroup(count: 1).next()
        let core = RedisLogCore(
            loop: loop,
            client: Scripted(loop, repeats),
            intervalMilliseconds: 0,
            log: Log(service: "test", level: .error),
            committed: { _ in },
            moved: { _ in }
        )
        do throws(FrameProblem) {
            _ = try await core.insist(RedisCommand("PING"), after: first)
            return nil
        } catch {
            return error
        }
    }

    @Test("refused at once, nothing was stored, and why is said")
    func refused() async throws {
        let problem = try await problem(after: Self.full, .success(.null))
        #expect(problem?.code == .storageFull && problem?.message.contains("nothing was stored") == true)
    }

    @Test("a repeat that is answered settles it")
    func answered() async throws {
        #expect(try await problem(after: Self.lost, .failure(Self.lost), .success(.null)) == nil)
    }

    @Test("a repeat that is refused leaves it open what the first one did", arguments: [false, true])
    func refusedLater(isFull: Bool) async throws {
        let refusal = isFull ? Self.full : .server(RedisServerError(.readOnly, "a replica"))
        let problem = try await problem(after: Self.lost, .failure(Self.lost), .failure(refusal))
        #expect(problem?.code == .unavailable && problem?.message.contains("same client_id") == true)
    }
}

import Core
import Net
import Redis

/// What the message log's commands are given, and what their failures mean.
enum LogCalls {
    /// How long a step whose outcome is unknown is repeated, in milliseconds.
    static let insistence: Int64 = 10_000
    /// The same from `close` on: a process that is to end does not wait for a Redis that is not there.
    static let closingInsistence: Int64 = 3000
    /// Between two attempts.
    static let pause = Duration.milliseconds(100)
    /// Commands that are sent at once.
    static let window = 500

    /// What a client is told of a failure.
    static func problem(_ error: RedisError, wasUnknown: Bool = false) -> FrameProblem {
        if !wasUnknown, case .server(let error) = error, error.code == .outOfMemory {
            return FrameProblem(code: .storageFull, message: "the message log is full; nothing was stored")
        }
        if wasUnknown {
            return FrameProblem(
                code: .unavailable,
                message: "the message log did not answer; send it again with the same client_id"
            )
        }
        return FrameProblem(code: .unavailable, message: "the message log failed; nothing was stored")
    }

    /// Whether a step may have been done without our knowing it.
    static func isUnknown(_ error: RedisError) -> Bool {
        // A function that fails has failed as a whole: what it may run into (no memory, a replica, a full disk) is
        // looked at before it begins.
        if case .server = error { return false }
        return error.mayHaveRun
    }
}

extension RedisLogCore {
    /// Sends commands in one pipeline and waits for all of their answers.
    func results(_ commands: [RedisCommand]) async -> [Result<RESPValue, RedisError>] {
        if commands.isEmpty { return [] }
        return await withCheckedContinuation { continuation in
            let answers = Answers(commands.count, continuation)
            for (index, command) in commands.enumerated() {
                client.send(command) { answers.set($0, at: index) }
            }
        }
    }

    /// The same for reads; many of them go in several pipelines.
    func answers(_ commands: [RedisCommand]) async throws(RedisError) -> [RESPValue] {
        var values: [RESPValue] = []
        values.reserveCapacity(commands.count)
        var rest = commands[...]
        while !rest.isEmpty {
            for result in await results(Array(rest.prefix(LogCalls.window))) { values.append(try result.get()) }
            rest = rest.dropFirst(LogCalls.window)
        }
        return values
    }

    func answer(_ command: RedisCommand) async throws(RedisError) -> RESPValue { try await answers([command])[0] }

    /// Writes that do no harm when they are done twice; all are done when it returns.
    func write(_ commands: [RedisCommand]) async throws(FrameProblem) {
        for (command, result) in zip(commands, await results(commands)) {
            if case .failure(let error) = result { _ = try await insist(command, after: error) }
        }
    }

    /// The same for one.
    func write(_ command: RedisCommand) async throws(FrameProblem) -> RESPValue {
        switch await results([command])[0] {
        case .success(let value): return value
        case .failure(let error): return try await insist(command, after: error)
        }
    }

    /// Repeats a step that may be repeated until its outcome is known, for some time.
    func insist(_ command: RedisCommand, after first: RedisError) async throws(FrameProblem) -> RESPValue {
        guard LogCalls.isUnknown(first) else { throw LogCalls.problem(first) }
        let end = loop.now + LogCalls.insistence
        while true {
            switch await results([command])[0] {
            case .success(let value): return value
            case .failure(let error):
                // This attempt has done nothing; what the one before it has done stays unknown.
                if case .server = error { throw LogCalls.problem(error, wasUnknown: true) }
                if case .shutDown = error { throw LogCalls.problem(error, wasUnknown: true) }
                guard loop.now < min(end, closingEnd) else { throw LogCalls.problem(error, wasUnknown: true) }
            }
            try? await Task.sleep(for: LogCalls.pause)
        }
    }

    /// Answers of one pipeline.
    private final class Answers {
        private var results: [Result<RESPValue, RedisError>]
        private var missing: Int
        private let continuation: CheckedContinuation<[Result<RESPValue, RedisError>], Never>

        init(_ count: Int, _ continuation: CheckedContinuation<[Result<RESPValue, RedisError>], Never>) {
            results = [Result<RESPValue, RedisError>](repeating: .success(.null), count: count)
            missing = count
            self.continuation = continuation
        }

        func set(_ result: Result<RESPValue, RedisError>, at index: Int) {
            results[index] = result
            missing -= 1
            if missing == 0 { continuation.resume(returning: results) }
        }
    }
}

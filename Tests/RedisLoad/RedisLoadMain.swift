import Core
import Glibc
import Net
import Redis

/// redis-load PORT DEPTH COUNT: calls the log's append in pipelines of DEPTH, COUNT times in all, and says in
/// microseconds what CPU time a call took this process.
///
/// The function must be there; `Tests/Benchmarks/redis` sees to that, and runs a client in C beside it.
@main
enum RedisLoadMain {
    static func main() async throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard numbers.count == 3, let port = UInt16(exactly: numbers[0]) else { return }
        let loops = try EventLoopGroup()
        let url = RedisURL(RedisEndpoint(host: "127.0.0.1", port: port))
        let client = RedisCluster(url, loop: loops.next())
        _ = try await client.send(RedisCommand("PING"))
        let before = Usage()
        let start = ContinuousClock.now
        let failures = await run(client, depth: numbers[1], count: numbers[2])
        let elapsed = ContinuousClock.now - start
        let used = Usage().microseconds - before.microseconds
        guard failures == 0 else { throw Failed(count: failures) }
        let line = "\(Double(used) / Double(numbers[2])) \(elapsed / .microseconds(1) / Double(numbers[2]))\n"
        _ = line.utf8CString.withUnsafeBytes { write(1, $0.baseAddress, $0.count - 1) }
        await client.shutDown()
    }

    private static func run(_ client: RedisCluster, depth: Int, count: Int) async -> Int {
        await withCheckedContinuation { continuation in
            client.loop.submit {
                Load(client, depth: depth, count: count) { continuation.resume(returning: $0) }.next()
            }
        }
    }
}

/// Calls that went wrong.
private struct Failed: Error {
    let count: Int
}

/// The process's CPU time up to now.
private struct Usage {
    let microseconds: Int

    init() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        microseconds =
            (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000
            + Int(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }
}

/// One pipeline after the other; lives on the loop.
private final class Load {
    private let client: RedisCluster
    private let depth: Int
    private let count: Int
    private let done: (Int) -> Void
    private let text = [UInt8](repeating: UInt8(ascii: "x"), count: 250)
    private let conversations = (0..<2000).map { ("{c:user-\($0)}", "{c:user-\($0)}:i") }
    /// Differs by run, so that no id is a repeat.
    private var digest = UInt64.random(in: 0 ... .max) | 1
    private var sent = 0
    private var answered = 0
    private var failures = 0

    init(_ client: RedisCluster, depth: Int, count: Int, _ done: @escaping (Int) -> Void) {
        self.client = client
        self.depth = depth
        self.count = count
        self.done = done
    }

    func next() {
        for _ in 0..<min(depth, count - sent) {
            let (stream, ids) = conversations[sent % conversations.count]
            sent += 1
            digest &+= 0x9e37_79b9_7f4a_7c15
            let id = [UInt8](unsafeUninitializedCapacity: 12) { place, count in
                withUnsafeBytes(of: (digest, UInt32(truncatingIfNeeded: sent))) {
                    UnsafeMutableRawBufferPointer(place).copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<12]))
                }
                count = 12
            }
            let command = RedisCommand("FCALL", "append_1", 2, .key(stream), .key(ids), .bytes(id), .bytes(text))
            client.send(command) { [self] in take($0) }
        }
    }

    private func take(_ result: Result<RESPValue, RedisError>) {
        answered += 1
        if case .success(.string) = result {} else { failures += 1 }
        guard answered == sent else { return }
        if sent < count { next() } else { done(failures) }
    }
}

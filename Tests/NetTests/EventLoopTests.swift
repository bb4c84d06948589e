import Foundation
import Glibc
import Synchronization
import Testing

@testable import Net

/// Accepts connections and sends back what they send, flushing once a turn.
private final class EchoServer: Channel {
    private let loop: EventLoop
    private let listener: Int32

    init(loop: EventLoop, listener: Int32) throws {
        self.loop = loop
        self.listener = listener
        try loop.register(self, descriptor: listener, .read)
    }

    func ready(_ readiness: Readiness) {
        while let (descriptor, _) = try? Socket.accept(listener) {
            let echo = Echo(loop: loop, descriptor: descriptor)
            try? loop.register(echo, descriptor: descriptor, .read)
        }
    }
}

private final class Echo: Channel {
    private let loop: EventLoop
    private let descriptor: Int32
    private var output: [UInt8] = []

    init(loop: EventLoop, descriptor: Int32) {
        self.loop = loop
        self.descriptor = descriptor
    }

    func ready(_ readiness: Readiness) {
        switch Socket.read(descriptor, into: loop.readBuffer) {
        case .bytes(let count):
            output += UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])
            loop.markDirty(descriptor: descriptor)
        case .wouldBlock: break
        case .end, .failed:
            loop.deregister(descriptor: descriptor)
            close(descriptor)
        }
    }

    func flush() {
        _ = output.withUnsafeBytes { Socket.write(descriptor, $0) }
        output = []
    }
}

@Suite("Event loop") struct EventLoopTests {
    @Test("serves sockets, writing once a turn, and survives clients that go")
    func echo() async throws {
        let group = try EventLoopGroup()
        defer { group.shutDown() }
        let loop = group.next()
        let loopback = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let listener = try Socket.listen(loopback)
        defer { close(listener) }
        let address = try #require(Socket.localAddress(listener))
        loop.submit { _ = try? EchoServer(loop: loop, listener: listener) }
        // The client blocks, so it has a thread of its own.
        let answer: String = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Self.talk(to: address)) }
        }
        #expect(answer == "hello hello hello ")
    }

    private static func talk(to address: SocketAddress) -> String {
        var answer = ""
        for _ in 0..<3 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else { return "no connection" }
            _ = send(descriptor, "hello ", 6, 0)
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            answer += String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
        }
        return answer
    }

    @Test("runs submitted work in order on its thread, and timers when due")
    func order() async throws {
        let group = try EventLoopGroup()
        defer { group.shutDown() }
        let loop = group.next()
        let seen = Mutex<[Int]>([])
        for number in 0..<100 { loop.submit { seen.withLock { $0.append(number) } } }
        await withCheckedContinuation { continuation in
            loop.submit {
                let cancelled = loop.schedule(after: .milliseconds(1)) { seen.withLock { $0.append(-1) } }
                loop.cancel(cancelled)
                _ = loop.schedule(after: .milliseconds(3)) { continuation.resume() }
                _ = loop.schedule(after: .milliseconds(2)) { seen.withLock { $0.append(100) } }
            }
        }
        #expect(seen.withLock { $0 } == Array(0...100))
    }

    @Test("is the executor of tasks that prefer it, across suspensions")
    func executor() async throws {
        let group = try EventLoopGroup(count: 2)
        defer { group.shutDown() }
        for loop in group.loops {
            let task = Task(executorPreference: loop) {
                let before = loop.isCurrent
                await Task.yield()
                return before && loop.isCurrent
            }
            #expect(await task.value)
        }
        #expect(!group.loops[0].isCurrent)
    }

    @Test("drops events of a channel that was deregistered earlier in the same turn")
    func stale() async throws {
        let group = try EventLoopGroup()
        defer { group.shutDown() }
        let loop = group.next()
        let pairs = (0..<2).map { _ -> (Int32, Int32) in
            var ends: [Int32] = [0, 0]
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
            return (ends[0], ends[1])
        }
        let calls = CallCount()
        await withCheckedContinuation { continuation in
            loop.submit {
                // Whichever is called first takes the other away.
                let descriptors = pairs.map(\.0)
                for descriptor in descriptors {
                    let killer = Killer(loop: loop, victims: descriptors, calls: calls)
                    try? loop.register(killer, descriptor: descriptor, .read)
                }
                for pair in pairs { _ = write(pair.1, "x", 1) }
                _ = loop.schedule(after: .milliseconds(20)) { continuation.resume() }
            }
        }
        #expect(calls.number.withLock { $0 } == 1)
        for pair in pairs { close(pair.0); close(pair.1) }
    }
}

private final class CallCount: Sendable {
    let number = Mutex(0)
}

private final class Killer: Channel {
    private let loop: EventLoop
    private let victims: [Int32]
    private let calls: CallCount

    init(loop: EventLoop, victims: [Int32], calls: CallCount) {
        self.loop = loop
        self.victims = victims
        self.calls = calls
    }

    func ready(_ readiness: Readiness) {
        calls.number.withLock { $0 += 1 }
        for victim in victims { loop.deregister(descriptor: victim) }
    }
}

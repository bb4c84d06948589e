import Glibc
import Synchronization

/// SIGTERM and SIGINT: the first asks for a clean stop, the second ends the process at once.
///
/// The handler only writes a byte to a pipe; a thread of its own reads it. That needs no blocked signals, which other
/// threads would have to inherit, and works while every other thread is busy.
enum TerminationSignals {
    private static let pipeInput = Atomic<Int32>(-1)

    /// Starts to listen; once per process.
    ///
    /// - Parameters:
    ///   - limit: How long the process may take to end after the first signal; then it is ended with status 1.
    ///   - onFirst: Called on the listening thread with the signal's number.
    /// - Throws: `errno` of pipe2.
    static func listen(limit: Duration, onFirst: @escaping @Sendable (Int32) -> Void) throws(StartError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw StartError(what: "pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        pipeInput.store(ends[1], ordering: .releasing)
        let milliseconds = Int32(clamping: Int64(limit / .milliseconds(1)))
        Listener(descriptor: ends[0], limitMilliseconds: milliseconds, onFirst: onFirst).start()
        for number in [SIGTERM, SIGINT] {
            _ = signal(number) { number in
                let saved = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(TerminationSignals.pipeInput.load(ordering: .acquiring), &byte, 1)
                errno = saved
            }
        }
    }

    /// A system call failed before the service could start.
    struct StartError: Error, CustomStringConvertible {
        let what: String
        let code: Int32

        var description: String { "\(what): \(String(cString: strerror(code)))" }
    }

    private final class Listener: Sendable {
        private let descriptor: Int32
        private let limitMilliseconds: Int32
        private let onFirst: @Sendable (Int32) -> Void

        init(descriptor: Int32, limitMilliseconds: Int32, onFirst: @escaping @Sendable (Int32) -> Void) {
            self.descriptor = descriptor
            self.limitMilliseconds = limitMilliseconds
            self.onFirst = onFirst
        }

        func start() {
            var thread = pthread_t()
            pthread_create(
                &thread,
                nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Listener>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                },
                Unmanaged.passRetained(self).toOpaque()
            )
            pthread_detach(thread)
        }

        private func run() {
            onFirst(waitForSignal())
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            while Glibc.poll(&poll, 1, limitMilliseconds) < 0, errno == EINTR {}
            // The second signal, or the limit: whatever still runs has had its chance.
            _exit(1)
        }

        private func waitForSignal() -> Int32 {
            var byte: UInt8 = 0
            while read(descriptor, &byte, 1) != 1 {}
            return Int32(byte)
        }
    }
}

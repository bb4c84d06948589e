import Glibc
package import Redis
import Synchronization

/// A real `redis-server` on a free port of 127.0.0.1, with an append-only file, for one test.
///
/// It lives until `kill`, with which a test ends, since the last mention of a server may be its end as well. It is
/// killed with the test's process too: a shell between the two kills it when the stream to it ends.
package final class RedisServer: Sendable {
    /// Why there is no server.
    package enum Failure: Error {
        case notStarted(Int32)
        /// It did not answer; the end of its log.
        case silent(String)
    }

    /// What has to hold before `start` returns.
    package enum Readiness: Sendable {
        /// Answers commands.
        case ready
        /// Answers something, possibly that it is loading.
        case loading
        /// Nothing.
        case none
    }

    private struct Shell {
        let pid: pid_t
        let input: Int32
    }

    /// The same for every start.
    package let port: UInt16
    package let directory: TemporaryDirectory
    private let arguments: [String]
    private let shell = Mutex<Shell?>(nil)

    /// Starts it.
    ///
    /// - Parameters:
    ///   - arguments: Settings, as `redis-server` takes them: `["--requirepass", "x"]`.
    ///   - isClustered: Whether it can be a part of a cluster.
    package init(_ arguments: [String] = [], isClustered: Bool = false) async throws {
        port = try Self.freePort()
        directory = try TemporaryDirectory()
        var all = [
            "--port", "\(port)", "--bind", "127.0.0.1", "--dir", directory.path, "--logfile", directory.file("log"),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--enable-debug-command", "yes",
            "--daemonize", "no",
        ]
        if isClustered { all += ["--cluster-enabled", "yes", "--cluster-port", "\(try Self.freePort())"] }
        self.arguments = all + arguments
        try await start()
    }

    deinit { kill() }

    /// Its address, without credentials.
    package var endpoint: RedisEndpoint { RedisEndpoint(host: "127.0.0.1", port: port) }

    /// Starts it again, on the same port with the same data.
    package func start(until readiness: Readiness = .ready, _ more: [String] = []) async throws {
        let started = try spawn(more)
        shell.withLock { $0 = started }
        let hasAnswered = await eventually {
            switch readiness {
            case .none: true
            case .loading: await answer("PING") != nil
            case .ready: await answer("PING").map { !$0.isLoading } ?? false
            }
        }
        if !hasAnswered { throw Failure.silent(log) }
    }

    /// Ends it without warning, as `kill -9` does, and waits for that.
    package func kill() {
        guard let ended = shell.withLock({ $0.take() }) else { return }
        close(ended.input)
        var status: Int32 = 0
        waitpid(ended.pid, &status, 0)
    }

    /// What it logged last.
    package var log: String {
        guard let file = fopen(directory.file("log"), "r") else { return "" }
        defer { fclose(file) }
        fseek(file, -4096, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// The answer to one command on a connection of its own; `nil` when there is none.
    package func answer(_ name: String, _ arguments: String...) async -> RESPValue? {
        try? await answers([RedisCommand(name, arguments.map { .text($0) })]).first
    }

    /// The answers to some commands on a connection of their own.
    package func answers(_ commands: [RedisCommand]) async throws -> [RESPValue] {
        let client = try await RawClient(port: port)
        for command in commands { try await client.send(command.bytes) }
        var parser = RESPParser()
        var answers: [RESPValue] = []
        while answers.count < commands.count {
            let piece = try await client.receive()
            if piece.isEmpty { throw RawClient.Failure.ended }
            try piece.withUnsafeBytes { bytes in
                var offset = 0
                while let value = try parser.next(bytes, &offset) { answers.append(value) }
            }
        }
        return answers
    }

    private func spawn(_ more: [String]) throws -> Shell {
        let script = """
            redis-server "$@" </dev/null >/dev/null 2>&1 & server=$!
            read -r _; kill -KILL $server 2>/dev/null; wait
            """
        var ends: [Int32] = [0, 0]
        // Not a pipe: without `pipe2`, which Glibc does not export, another child could inherit the end that counts.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure.notStarted(errno) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        // Threads of Dispatch block most signals, and a shell that cannot hear of its child's end waits for ever.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = ["/bin/sh", "-c", script, "redis-server"] + arguments + more
        var pointers = words.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        var pid: pid_t = 0
        let code = posix_spawn(&pid, "/bin/sh", &actions, &attributes, pointers, environ)
        guard code == 0 else {
            close(ends[1])
            throw Failure.notStarted(code)
        }
        return Shell(pid: pid, input: ends[1])
    }

    /// A port that nobody uses at the moment.
    ///
    /// It is below those that Linux gives to outgoing connections: one of these could take the port of a server that is
    /// away just now, or meet itself there.
    private static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 10_000..<32_768)
            if try isFree(port) { return port }
        }
        throw Failure.notStarted(EADDRINUSE)
    }

    private static func isFree(_ port: UInt16) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure.notStarted(errno) }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

extension RESPValue {
    /// Whether it is the error of a server that still reads its data.
    fileprivate var isLoading: Bool { if case .error(let error) = self { error.code == .loading } else { false } }
}

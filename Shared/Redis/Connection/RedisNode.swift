import Core
import Net

/// One server, connected to again and again, and the commands that wait for it; lives on a loop.
///
/// Commands keep their order over reconnections: what had not been written wholly when a connection ended goes out
/// first on the next.
final class RedisNode {
    let loop: EventLoop
    let configuration: RedisConfiguration
    let endpoint: RedisEndpoint
    /// A connection takes commands; what the server said of itself.
    var greeted: ((RedisNode, RedisGreeting.Server) -> Void)?
    /// A connection has ended, or an attempt to make one has failed.
    var lost: (() -> Void)?
    /// Whether a connection takes commands.
    private(set) var isReady = false

    private let url: RedisURL
    /// In milliseconds: taking a `Duration` apart costs as much as all else about a command.
    private let commandTimeout: Int64
    private var state: ReconnectState
    private var greeting: RedisGreeting
    private var connection: RedisConnection?
    /// Of the attempt that is under way, to tell late answers of the resolver.
    private var attempt = 0
    /// Of the attempt, or of the pause before the next.
    private var attemptTimer: TimerID?
    private var patienceTimer: TimerID?
    private var waiting = RingBuffer<PendingCommand>()
    private var unanswered = 0
    private var unansweredBytes = 0
    private var failure = RedisError.unavailable("not connected yet")
    private var isReloading = false
    private var isShutDown = false
    /// Takes nothing new, and is shut down when what is in flight is answered.
    private var isRetiring = false

    /// - Parameters:
    ///   - endpoint: The server.
    ///   - url: Credentials and database.
    ///   - loop: Runs all of it.
    ///   - configuration: Limits and times.
    init(_ endpoint: RedisEndpoint, _ url: RedisURL, loop: EventLoop, configuration: RedisConfiguration) {
        self.endpoint = endpoint
        self.url = url
        self.loop = loop
        self.configuration = configuration
        commandTimeout = configuration.commandTimeout.wholeMilliseconds
        let patience = configuration.patience.wholeMilliseconds
        state = ReconnectState(configuration.pauses, patience: patience, now: Monotonic.milliseconds())
        greeting = RedisGreeting(url, clientName: nil, libraries: [])
    }

    // MARK: - Commands

    /// Sends a command, or fails it, in which case `completion` may be called before this returns.
    func send(_ command: RedisCommand, asking isAsking: Bool = false, then completion: @escaping RedisCompletion) {
        if let failure = refusal(of: command) {
            completion(.failure(failure))
            return
        }
        unanswered += 1
        unansweredBytes += command.bytes.count
        let pending = PendingCommand(
            command: command,
            kind: .command,
            isAsking: isAsking,
            deadline: loop.now + commandTimeout,
            completion: completion
        )
        if isReady, let connection { connection.send(pending) } else { waiting.append(pending) }
    }

    private func refusal(of command: RedisCommand) -> RedisError? {
        if isShutDown { return .shutDown(mayHaveRun: false) }
        if isRetiring || !isReady && (isRefused || !state.isPatient(now: loop.now)) { return failure }
        guard unanswered < configuration.commandsMax,
            unansweredBytes + command.bytes.count <= configuration.commandBytesMax
        else { return .tooManyWaiting }
        return nil
    }

    private var isRefused: Bool { if case .refused = failure { true } else { false } }

    private func finish(_ pending: PendingCommand, _ result: Result<RESPValue, RedisError>) {
        if pending.kind != .own {
            unanswered -= 1
            unansweredBytes -= pending.command.bytes.count
        }
        pending.completion(result)
        if isRetiring, unanswered == 0 { shutDown() }
    }

    /// The connection has the answer to a command.
    func answered(_ pending: PendingCommand, _ value: RESPValue) {
        guard case .error(let error) = value else {
            finish(pending, .success(value))
            return
        }
        if error.isFunctionMissing, pending.kind == .command, !configuration.libraries.isEmpty, let connection {
            reload(on: connection)
            connection.send(
                PendingCommand(
                    command: pending.command,
                    kind: .repeated,
                    isAsking: pending.isAsking,
                    deadline: pending.deadline,
                    completion: pending.completion
                )
            )
            return
        }
        finish(pending, .failure(.server(error)))
    }

    /// Loads the functions again; what is sent after this finds them, since a connection keeps its order.
    private func reload(on connection: RedisConnection) {
        guard !isReloading else { return }
        isReloading = true
        for (index, library) in configuration.libraries.enumerated() {
            let isLast = index == configuration.libraries.count - 1
            sendOwn(library.load, on: connection) { [self] result in
                if isLast { isReloading = false }
                // Those whose function it is hear that it is missing; this says why.
                if case .failure(let error) = result {
                    logFailure("redis_library_refused", "\(library.name): \(error)")
                }
            }
        }
    }

    private func sendOwn(
        _ command: RedisCommand,
        on connection: RedisConnection,
        then completion: @escaping RedisCompletion
    ) {
        let deadline = loop.now + commandTimeout
        connection.send(
            PendingCommand(command: command, kind: .own, isAsking: false, deadline: deadline, completion: completion)
        )
    }

    // MARK: - Connecting

    /// Makes the first attempt to connect.
    func start() {
        setPatienceTimer()
        connect()
    }

    private func connect() {
        attempt += 1
        let number = attempt
        setAttemptTimer(configuration.connectTimeout) { [self] in
            if let connection {
                connection.end(.lost("no connection in time"))
            } else {
                failed(.unavailable("\(endpoint): its name is not looked up in time"))
            }
        }
        if let address = SocketAddress(host: endpoint.host, port: endpoint.port) {
            open([address])
            return
        }
        let node = LoopBound(self, loop: loop)
        Resolver.resolve(endpoint.host, port: endpoint.port) { result in
            node.loop.submit { node.value.resolved(result, attempt: number) }
        }
    }

    private func resolved(_ result: Result<[SocketAddress], ResolverError>, attempt number: Int) {
        guard attempt == number, !isShutDown else { return }
        switch result {
        case .success(let addresses): open(addresses)
        case .failure(let error): failed(.unavailable(error.description))
        }
    }

    private func open(_ addresses: [SocketAddress]) {
        let connection = RedisConnection(self, addresses)
        self.connection = connection
        connection.connect()
    }

    /// The TCP connection stands.
    func connected() {
        greeting = RedisGreeting(url, clientName: configuration.clientName, libraries: configuration.libraries)
        greet(.send(greeting.first))
    }

    private func greet(_ step: RedisGreeting.Step) {
        guard let connection else { return }
        switch step {
        case .send(let command):
            sendOwn(command, on: connection) { [self] result in
                switch result {
                case .success(let value): greet(greeting.take(value))
                case .failure(.server(let error)): greet(greeting.take(.error(error)))
                // The connection has ended, which `ended` is told.
                case .failure: break
                }
            }
        case .failed(let error):
            connection.end(error.isPassing ? .lost("\(error)") : .refused(error))
        case .done(let server): becomeReady(server, connection)
        }
    }

    private func becomeReady(_ server: RedisGreeting.Server, _ connection: RedisConnection) {
        cancel(&attemptTimer)
        cancel(&patienceTimer)
        isReady = true
        isReloading = false
        state.connected(now: loop.now)
        configuration.log?.info("redis_connected", ["server": .string(endpoint.description)])
        for var pending in waiting.takeAll() {
            // What waited for the connection has all of the time for its answer.
            pending.deadline = loop.now + commandTimeout
            connection.send(pending)
        }
        greeted?(self, server)
    }

    private func setAttemptTimer(_ delay: Duration, _ work: @escaping () -> Void) {
        cancel(&attemptTimer)
        attemptTimer = loop.schedule(after: delay) { [self] in
            attemptTimer = nil
            work()
        }
    }

    private func setPatienceTimer() {
        cancel(&patienceTimer)
        guard let end = state.patienceEnds else { return }
        patienceTimer = loop.schedule(after: .milliseconds(end - loop.now)) { [self] in
            patienceTimer = nil
            failWaiting()
        }
    }

    private func cancel(_ timer: inout TimerID?) {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    // MARK: - Ends

    /// The connection has ended.
    ///
    /// - Parameters:
    ///   - commands: What has no answer, oldest first.
    ///   - written: How many bytes the system had taken.
    ///   - end: Why it ended.
    func ended(_ commands: [PendingCommand], written: Int, _ end: RedisConnection.End) {
        let wasReady = isReady
        connection = nil
        isReady = false
        let later = waiting.takeAll()
        var gone: [PendingCommand] = []
        for pending in commands {
            let mayGoOn = pending.kind != .own && pending.end > written && pending.deadline > loop.now
            if mayGoOn { waiting.append(pending) } else { gone.append(pending) }
        }
        for pending in later { waiting.append(pending) }
        failure = end.failure(of: endpoint)
        if wasReady, !isShutDown {
            logFailure("redis_lost", end.reason)
            pause(until: state.lost(now: loop.now, random: .random(in: 0 ... .max)))
            setPatienceTimer()
        } else if !isShutDown {
            failed(failure)
        }
        for pending in gone { finish(pending, .failure(end.error(pending, written: written, now: loop.now))) }
        if isRetiring { shutDown() }
        if wasReady { lost?() }
    }

    /// An attempt has come to nothing.
    private func failed(_ error: RedisError) {
        failure = error
        attempt += 1
        if state.failures == 0 { logFailure("redis_unavailable", "\(error)") }
        pause(until: state.failed(now: loop.now, random: .random(in: 0 ... .max)))
        if isRefused { failWaiting() }
        lost?()
    }

    private func pause(until time: Int64) {
        setAttemptTimer(.milliseconds(max(time - loop.now, 0))) { [self] in connect() }
    }

    /// Fails what waits for a connection.
    private func failWaiting() {
        let failure = isShutDown && !isRetiring ? .shutDown(mayHaveRun: false) : failure
        for pending in waiting.takeAll() { finish(pending, .failure(failure)) }
    }

    /// Takes nothing more, and ends when what is in flight has its answers; what was not written fails as unavailable.
    func retire() {
        guard !isRetiring else { return }
        isRetiring = true
        failure = .unavailable("\(endpoint) serves nothing any more")
        failWaiting()
        if unanswered == 0 || !isReady { shutDown() }
    }

    /// Fails everything and closes the connection, for good.
    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        cancel(&attemptTimer)
        cancel(&patienceTimer)
        connection?.end(.wanted)
        failWaiting()
        greeted = nil
        lost = nil
    }

    private func logFailure(_ event: StaticString, _ reason: String) {
        configuration.log?.warning(event, ["server": .string(endpoint.description), "reason": .string(reason)])
    }
}

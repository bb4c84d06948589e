import Core
import Net

/// Sends each command to the primary of its first key's slot, and learns from what the servers answer; lives on a loop.
///
/// What kind of server it talks to it learns from the greeting. A plain one gets everything, and no slot is computed.
final class ClusterRouter {
    /// How often one command is sent to another place, or again, before its caller gets the error.
    static let redirectsMax = 5
    /// Commands that wait for a moment before they are sent again; past this the caller gets the error.
    static let delayedMax = 4096
    /// The first pause before a command is sent again, in milliseconds; doubled each time.
    private static let repeatPause: Int64 = 25
    /// Between two questions for the map.
    private static let refreshPause = Duration.milliseconds(100)
    /// Between two questions while a primary is away.
    private static let recheckPause = Duration.seconds(1)

    private struct Attempt {
        let command: RedisCommand
        var redirects = 0
        let completion: RedisCompletion
    }

    private let url: RedisURL
    private let loop: EventLoop
    private let configuration: RedisConfiguration
    private var nodes: [RedisEndpoint: RedisNode] = [:]
    /// The one server, once it is known to be no part of a cluster.
    private var single: RedisNode?
    private var isCluster = false
    /// By slot; empty until there is a map.
    private var primaries: [RedisNode?] = []
    private var refreshTimer: TimerID?
    private var isRefreshing = false
    private var delayed = 0
    private var isShutDown = false

    init(_ url: RedisURL, loop: EventLoop, configuration: RedisConfiguration) {
        self.url = url
        self.loop = loop
        self.configuration = configuration
    }

    /// Begins to connect.
    func start() {
        for endpoint in url.endpoints { _ = node(at: endpoint) }
    }

    /// Sends a command to where it belongs.
    func send(_ command: RedisCommand, then completion: @escaping RedisCompletion) {
        if let single {
            single.send(command, then: completion)
        } else {
            dispatch(Attempt(command: command, completion: completion))
        }
    }

    /// Fails everything and closes the connections, for good.
    func shutDown() {
        isShutDown = true
        if let refreshTimer { loop.cancel(refreshTimer) }
        refreshTimer = nil
        for node in nodes.values { node.shutDown() }
    }

    // MARK: - Attempts

    private func dispatch(_ attempt: Attempt) {
        send(attempt, to: node(for: attempt.command), asking: false)
    }

    private func send(_ attempt: Attempt, to node: RedisNode, asking isAsking: Bool) {
        node.send(attempt.command, asking: isAsking) { [self] result in
            guard case .failure(let error) = result, !isShutDown, attempt.redirects < Self.redirectsMax else {
                attempt.completion(result)
                return
            }
            failed(attempt, at: node, error)
        }
    }

    private func failed(_ attempt: Attempt, at node: RedisNode, _ error: RedisError) {
        var next = attempt
        next.redirects += 1
        switch error {
        case .server(let error):
            redirect(next, from: node, error)
        case .unavailable, .connectionLost(mayHaveRun: false), .shutDown(mayHaveRun: false):
            // Its slot may have found another primary; a server that has left the map gives back what it did not send.
            let other = self.node(for: attempt.command)
            if other === node { attempt.completion(.failure(error)) } else { send(next, to: other, asking: false) }
        default: attempt.completion(.failure(error))
        }
    }

    private func redirect(_ attempt: Attempt, from node: RedisNode, _ error: RedisServerError) {
        switch error.code {
        case .moved:
            guard let redirection = Redirection(error.message, asked: node.endpoint) else { break }
            let target = self.node(at: redirection.target)
            isCluster = true
            if primaries.isEmpty { primaries = Array(repeating: nil, count: HashSlot.count) }
            primaries[redirection.slot] = target
            refreshSoon()
            send(attempt, to: target, asking: false)
            return
        case .ask:
            guard let redirection = Redirection(error.message, asked: node.endpoint) else { break }
            send(attempt, to: self.node(at: redirection.target), asking: true)
            return
        case .tryAgain, .clusterDown, .loading, .masterDown, .readOnly:
            guard isCluster, delayed < Self.delayedMax else { break }
            // A failed primary's slots, and a primary that has become a replica, are found by a new map.
            refreshSoon()
            let pause = Self.repeatPause << Int64(attempt.redirects - 1)
            delayed += 1
            _ = loop.schedule(after: .milliseconds(pause + Int64.random(in: 0...pause / 2))) { [self] in
                delayed -= 1
                dispatch(attempt)
            }
            return
        default: break
        }
        attempt.completion(.failure(.server(error)))
    }

    // MARK: - Nodes

    private func node(for command: RedisCommand) -> RedisNode {
        if !primaries.isEmpty, let slot = command.hashSlot, let node = primaries[slot] { return node }
        return nodes.values.first(where: \.isReady) ?? node(at: url.endpoints[0])
    }

    private func node(at endpoint: RedisEndpoint) -> RedisNode {
        if let node = nodes[endpoint] { return node }
        let node = RedisNode(endpoint, url, loop: loop, configuration: configuration)
        nodes[endpoint] = node
        // Held until the node ends, so the router lives as long as it has nodes: until `shutDown`.
        node.greeted = { [self] in greeted($0, $1) }
        node.lost = { [self] in lost() }
        if isShutDown { node.shutDown() } else { node.start() }
        return node
    }

    private func greeted(_ node: RedisNode, _ server: RedisGreeting.Server) {
        switch server.isCluster {
        case true?:
            single = nil
            isCluster = true
            refreshSoon()
        case false? where url.endpoints.count > 1:
            configuration.log?.error("redis_not_a_cluster", ["server": .string(node.endpoint.description)])
            // Data must not be spread over servers that do not know of each other.
            single = self.node(at: url.endpoints[0])
        case false?: single = node
        // Its answers will tell.
        case nil: break
        }
    }

    private func lost() {
        guard isCluster else { return }
        refreshSoon()
        // The servers of the map may all have got new addresses; the first ones we were given may be names.
        if !nodes.values.contains(where: \.isReady) { start() }
    }

    // MARK: - The map

    private func refreshSoon(after pause: Duration? = nil) {
        guard refreshTimer == nil, !isRefreshing, !isShutDown else { return }
        let pause = pause ?? (primaries.isEmpty ? .zero : Self.refreshPause)
        refreshTimer = loop.schedule(after: pause) { [self] in
            refreshTimer = nil
            refresh()
        }
    }

    private func refresh() {
        // Without one, the next greeting asks.
        guard let asked = nodes.values.filter(\.isReady).randomElement() else { return }
        isRefreshing = true
        asked.send(RedisCommand("CLUSTER", "SLOTS")) { [self] result in
            isRefreshing = false
            guard !isShutDown else { return }
            guard case .success(let answer) = result, let map = ClusterMap(answer, asked: asked.endpoint) else {
                configuration.log?.warning(
                    "redis_map_failed",
                    ["server": .string(asked.endpoint.description), "reason": .string("\(result)")]
                )
                refreshSoon(after: Self.recheckPause)
                return
            }
            apply(map)
        }
    }

    private func apply(_ map: ClusterMap) {
        // A server that has just left its cluster, or not joined one yet, knows of nobody.
        guard !map.parts.isEmpty else {
            refreshSoon(after: Self.recheckPause)
            return
        }
        primaries = Array(repeating: nil, count: HashSlot.count)
        var serving: Set<RedisEndpoint> = []
        for part in map.parts {
            serving.insert(part.primary)
            let node = node(at: part.primary)
            for slot in part.slots { primaries[slot] = node }
        }
        for (endpoint, node) in nodes where !serving.contains(endpoint) {
            nodes[endpoint] = nil
            node.retire()
        }
        let isWhole = nodes.values.allSatisfy(\.isReady) && !primaries.contains { $0 == nil }
        if !isWhole { refreshSoon(after: Self.recheckPause) }
    }
}

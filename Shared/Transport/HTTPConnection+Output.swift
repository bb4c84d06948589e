import CLinux
import Core
import Glibc
import HTTP
import Net

extension HTTPConnection {
    /// Most bytes of a file that are sent in one turn, so that a fast download leaves the loop to others.
    static let fileBytesPerTurn = 1 << 20

    /// Sends a handler's response, in the handler's task; returns when a streamed one has ended, else at once.
    func answer(_ response: Response, exchange number: Int) async {
        guard number == exchange, phase == .handling else {
            Self.discard(response)
            return
        }
        guard let next = begin(response) else { return }
        do {
            while let piece = try await next() {
                guard number == exchange, phase == .responding else { return }
                guard append(piece) else { return }
                await drained()
                guard number == exchange, phase == .responding else { return }
            }
            endStream()
        } catch {
            shard.log.warning("response_stream_failed", ["error": .string(String(reflecting: error))])
            // The head is gone: only a cut connection tells the client that this is not all.
            if number == exchange, phase == .responding { close() }
        }
    }

    /// Queues a response's head, and its body unless it is streamed.
    ///
    /// - Returns: What makes the pieces of a streamed body.
    func begin(_ response: Response) -> (@Sendable () async throws -> [UInt8]?)? {
        if case .upgrade(let upgrade) = response.body {
            beginUpgrade(response, upgrade)
            return nil
        }
        let plan = ResponsePlan(
            response,
            to: request?.head,
            requestID: request?.id ?? RequestID.make(),
            date: shard.date(),
            mayKeepAlive: mayKeepAlive
        )
        if !plan.keepsAlive { mustClose = true }
        var head: [UInt8] = []
        do throws(MessageSerializer.Failure) {
            try MessageSerializer.appendResponseHead(response.status, plan.headers, to: &head)
        } catch {
            shard.log.error("response_refused", ["error": .string(String(reflecting: error))])
            Self.discard(response)
            return begin(Response(Problem(500, .internalError, "the response could not be written")))
        }
        phase = .responding
        output.append(head)
        loop.markDirty(descriptor: descriptor)
        defer { update() }
        guard plan.sendsBody else {
            Self.discard(response)
            return nil
        }
        switch response.body {
        case .bytes(let bytes): output.append(bytes)
        case .file(let file, let offset, let length):
            source = .file(descriptor: file, offset: offset, remaining: length)
        case .stream(let length, let next):
            source = .stream(isChunked: plan.isChunked, remaining: length)
            return next
        case .empty, .upgrade: break
        }
        return nil
    }

    private var mayKeepAlive: Bool {
        guard !mustClose, !shard.isDraining, bodyFailure == nil else { return false }
        if isBodyComplete { return true }
        // Whether the client will send the body after all is not known; a long rest is not worth waiting for.
        let rest = (request?.body.announcedLength ?? 0) - bodyByteCount
        return !owesContinue && rest <= configuration.drainBytesMax
    }

    /// Lets go of what a response that is not sent holds.
    private static func discard(_ response: Response) {
        switch response.body {
        case .file(let descriptor, _, _): Glibc.close(descriptor)
        case .upgrade(let upgrade): (upgrade as? StreamUpgrade)?.abandoned()
        case .empty, .bytes, .stream: break
        }
    }

    private func beginUpgrade(_ response: Response, _ upgrade: any ConnectionUpgrade) {
        guard let stream = upgrade as? StreamUpgrade, isBodyComplete else {
            Self.discard(response)
            _ = begin(Response(.badRequest("body: none in a request to change the protocol")))
            return
        }
        var headers = response.headers
        headers["Date"] = shard.date()
        headers["X-Request-Id"] = request?.id
        var pending = output.takeAll()
        do throws(MessageSerializer.Failure) {
            try MessageSerializer.appendResponseHead(101, headers, to: &pending)
        } catch {
            shard.log.error("response_refused", ["error": .string(String(reflecting: error))])
            Self.discard(response)
            _ = begin(Response(Problem(500, .internalError, "the response could not be written")))
            return
        }
        let received = parser.takeBuffered()
        // The task that runs this is the handler's own: it has nothing left to do that a cancellation could disturb.
        task = nil
        leave()
        stream.take(
            UpgradedConnection(
                descriptor: descriptor,
                loop: loop,
                received: received,
                pendingOutput: pending,
                peer: peer
            )
        )
    }

    // MARK: - Streams

    /// Queues a piece of a streamed body.
    ///
    /// - Returns: `false` when it is more than was announced; the connection is closed then.
    private func append(_ piece: [UInt8]) -> Bool {
        guard case .stream(let isChunked, let remaining) = source else { return false }
        if let remaining {
            guard piece.count <= remaining else {
                shard.log.error("response_stream_failed", ["error": "more than its length"])
                close()
                return false
            }
            source = .stream(isChunked: isChunked, remaining: remaining - piece.count)
        }
        if isChunked {
            var chunk: [UInt8] = []
            chunk.reserveCapacity(piece.count + 16)
            MessageSerializer.appendChunk(piece, to: &chunk)
            output.append(chunk)
        } else {
            output.append(piece)
        }
        loop.markDirty(descriptor: descriptor)
        return true
    }

    private func endStream() {
        guard phase == .responding, case .stream(let isChunked, let remaining) = source else { return }
        if let remaining, remaining > 0 {
            shard.log.error("response_stream_failed", ["error": "less than its length"])
            close()
            return
        }
        if isChunked { output.append(MessageSerializer.lastChunk) }
        source = .none
        loop.markDirty(descriptor: descriptor)
    }

    /// Returns when the socket has taken everything, or the connection is gone.
    private func drained() async {
        await withCheckedContinuation { waiter in
            if output.isEmpty || phase == .closed { waiter.resume() } else { drainedWaiter = waiter }
        }
    }

    func resumeDrainedWaiter() {
        let waiter = drainedWaiter
        drainedWaiter = nil
        waiter?.resume()
    }

    // MARK: - Writing

    func flush() {
        guard phase != .closed, !isOutputBlocked else { return }
        let (outcome, hasProgressed) = output.write(to: descriptor)
        if hasProgressed { waitStart = loop.now }
        switch outcome {
        case .failed, .end:
            close()
            return
        case .wouldBlock: block()
        case .bytes: if case .file = source { sendFile() }
        }
        if phase == .closed { return }
        if output.isEmpty {
            resumeDrainedWaiter()
            if phase == .responding, case .none = source {
                endExchange()
                return
            }
        }
        update()
    }

    private func block() {
        if !isOutputBlocked { waitStart = loop.now }
        isOutputBlocked = true
    }

    private func sendFile() {
        guard case .file(let file, var offset, var remaining) = source else { return }
        var budget = Self.fileBytesPerTurn
        while remaining > 0, budget > 0 {
            let count = sendfile(descriptor, file, &offset, min(remaining, budget))
            if count > 0 {
                remaining -= count
                budget -= count
                waitStart = loop.now
            } else if count < 0, errno == EAGAIN {
                block()
                break
            } else if count == 0 || errno != EINTR {
                // The file has become shorter, or the client is gone: the length promised cannot be kept.
                close()
                return
            }
        }
        source = .file(descriptor: file, offset: offset, remaining: remaining)
        if remaining == 0 {
            closeFile()
        } else if !isOutputBlocked {
            loop.markDirty(descriptor: descriptor)
        }
    }

    func closeFile() {
        if case .file(let file, _, _) = source { Glibc.close(file) }
        source = .none
    }

    // MARK: - After the response

    private func endExchange() {
        task = nil
        if !mustClose {
            if isBodyComplete { nextRequest() } else { beginDiscarding() }
        } else if isBodyComplete, parser.bufferedBytes == 0 {
            close()
        } else {
            linger()
        }
        update()
    }

    private func beginDiscarding() {
        phase = .discarding
        waitStart = loop.now
        discardBody()
    }

    /// The exchange is over on both sides.
    func nextRequest() {
        request = nil
        phase = .idle
        waitStart = loop.now
        if parser.bufferedBytes > 0 { readHead() }
        if phase == .idle || phase == .head, hasEnded || shard.isDraining { close() }
    }
}

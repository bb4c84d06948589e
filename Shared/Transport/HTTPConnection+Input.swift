import Core
import HTTP
import Net

extension HTTPConnection {
    /// The largest body that is taken out of the parser before its handler asks, in bytes.
    static let wholeBodyBytesMax = 16 * 1024

    /// Reads once, into the loop's buffer, and acts on it.
    func receive() {
        switch Socket.read(descriptor, into: loop.readBuffer) {
        case .bytes(let count):
            if phase == .lingering {
                discard(count)
                return
            }
            // A head's time runs from its first byte; a body's from its last piece.
            if phase == .idle || bodyWaiter != nil || phase == .discarding { waitStart = loop.now }
            parser.feed(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count]))
            inputArrived()
        case .end: inputEnded()
        case .wouldBlock: break
        case .failed: close()
        }
    }

    private func inputArrived() {
        switch phase {
        case .idle, .head: readHead()
        case .handling, .responding: serveBodyWaiter()
        case .discarding: discardBody()
        case .lingering, .closed: break
        }
        update()
    }

    private func inputEnded() {
        hasEnded = true
        switch phase {
        case .idle, .head, .discarding, .lingering:
            close()
        case .handling, .responding:
            // A client that is gone, or one that has only ended its stream: cancel, and answer whatever comes of it.
            task?.cancel()
            serveBodyWaiter()
            update()
        case .closed: break
        }
    }

    // MARK: - Heads

    /// Goes on to the next request if its head is there.
    func readHead() {
        do throws(HTTPParseError) {
            guard case .head(let head, let framing)? = try parser.next() else {
                phase = parser.isBetweenRequests ? .idle : .head
                return
            }
            try startExchange(head, framing)
        } catch {
            refuse(error.problem)
        }
    }

    private func startExchange(_ head: RequestHead, _ framing: BodyFraming) throws(HTTPParseError) {
        exchange += 1
        phase = .handling
        bodyByteCount = 0
        bodyFailure = nil
        discardedByteCount = 0
        var body = RequestBody.empty
        var announcedLength: Int?
        switch framing {
        case .none, .length(0):
            // Its end follows at once.
            _ = try parser.next()
            isBodyComplete = true
        case .length(let count) where count <= min(parser.bufferedBytes, bodyBytesMaxAtOnce):
            // All of it has come with the head: nobody needs to ask and wait for it.
            if case .body(let bytes)? = try parser.next() { body = RequestBody(bytes) }
            _ = try parser.next()
            bodyByteCount = count
            isBodyComplete = true
        default:
            if case .length(let count) = framing { announcedLength = count }
            isBodyComplete = false
            let source = ConnectionBody(connection: LoopBound(self, loop: loop), exchange: exchange)
            body = RequestBody(source, announcedLength: announcedLength)
        }
        owesContinue = !isBodyComplete && head.expectsContinue
        let request = Request(
            head: head,
            body: body,
            remoteAddress: configuration.trustedProxies.remoteAddress(peer: peer, head.headers),
            isSecure: configuration.trustedProxies.isSecure(peer: peer, head.headers),
            id: RequestID.of(head.headers)
        )
        self.request = request
        if let announcedLength, announcedLength > configuration.bodyBytesMax {
            mustClose = true
            _ = begin(Response(tooLarge))
            return
        }
        run(request)
    }

    private var bodyBytesMaxAtOnce: Int { min(Self.wholeBodyBytesMax, configuration.bodyBytesMax) }

    private func run(_ request: Request) {
        let reply = shard.reply(to: request)
        if case .now(let outcome) = reply {
            let response = shard.response(outcome, to: request)
            if response.body.isAtHand {
                _ = begin(response)
            } else {
                run(request) { response }
            }
        } else {
            run(request) { try await reply.response() }
        }
    }

    /// Has `work` make the response in a task of the loop.
    private func run(_ request: Request, _ work: @escaping @Sendable () async throws -> Response) {
        let bound = LoopBound(self, loop: loop)
        let shard = shard
        let number = exchange
        task = Task(executorPreference: loop) {
            let outcome: Result<Response, any Error>
            do { outcome = .success(try await work()) } catch { outcome = .failure(error) }
            await bound.value.answer(shard.response(outcome, to: request), exchange: number)
        }
    }

    /// Answers input that is no request, and closes.
    func refuse(_ problem: Problem) {
        exchange += 1
        request = nil
        mustClose = true
        isBodyComplete = false
        shard.log.debug(
            "request_refused",
            ["status": .int(problem.status), "detail": .string(problem.detail), "remote": .string(peer)]
        )
        _ = begin(Response(problem))
    }

    // MARK: - Bodies

    private var tooLarge: Problem {
        Problem(413, .tooLarge, "body: at most \(configuration.bodyBytesMax) bytes")
    }

    /// The handler asks for the next piece of its request's body.
    func requestBody(exchange number: Int, _ waiter: CheckedContinuation<[UInt8]?, any Error>) {
        guard number == exchange, phase == .handling || phase == .responding else {
            waiter.resume(throwing: Problem.badRequest("body: the request is over"))
            return
        }
        guard bodyWaiter == nil else {
            waiter.resume(throwing: Problem(500, .internalError, "body: read twice at a time"))
            return
        }
        if owesContinue, phase == .handling {
            owesContinue = false
            output.append(MessageSerializer.continueResponse)
            loop.markDirty(descriptor: descriptor)
        }
        bodyWaiter = waiter
        waitStart = loop.now
        serveBodyWaiter()
        update()
    }

    /// Gives the handler what it waits for, if it is there.
    private func serveBodyWaiter() {
        guard bodyWaiter != nil else { return }
        if let bodyFailure {
            failBody(bodyFailure)
            return
        }
        if isBodyComplete {
            resumeBody(nil)
            return
        }
        do throws(HTTPParseError) {
            switch try parser.next() {
            case .body(let bytes):
                bodyByteCount += bytes.count
                guard bodyByteCount <= configuration.bodyBytesMax else {
                    failBody(tooLarge)
                    return
                }
                resumeBody(bytes)
            case .end:
                isBodyComplete = true
                resumeBody(nil)
            case .head, nil:
                if hasEnded { failBody(HTTPParseError.truncated.problem) }
            }
        } catch {
            failBody(error.problem)
        }
    }

    private func resumeBody(_ bytes: [UInt8]?) {
        let waiter = bodyWaiter
        bodyWaiter = nil
        waiter?.resume(returning: bytes)
    }

    /// The body is lost, now and for every later question; the connection closes after the response.
    func failBody(_ problem: Problem) {
        bodyFailure = problem
        mustClose = true
        let waiter = bodyWaiter
        bodyWaiter = nil
        waiter?.resume(throwing: problem)
    }

    /// The handler's task was cancelled while it waited.
    func cancelBodyWaiter(exchange number: Int) {
        guard number == exchange, let waiter = bodyWaiter else { return }
        bodyWaiter = nil
        waiter.resume(throwing: CancellationError())
        update()
    }

    /// Reads and drops what the handler left of the body, up to a limit.
    func discardBody() {
        do throws(HTTPParseError) {
            while true {
                switch try parser.next() {
                case .body(let bytes):
                    discardedByteCount += bytes.count
                    guard discardedByteCount <= configuration.drainBytesMax else {
                        linger()
                        return
                    }
                case .end:
                    isBodyComplete = true
                    nextRequest()
                    return
                case .head, nil:
                    if hasEnded { close() }
                    return
                }
            }
        } catch {
            linger()
        }
    }

    /// Drops input of a connection that is closing; one that sends on and on is cut off.
    private func discard(_ count: Int) {
        discardedByteCount += count
        if discardedByteCount > configuration.lingerBytesMax { close() }
    }
}

extension ResponseBody {
    /// Whether it needs no task to be sent.
    fileprivate var isAtHand: Bool {
        switch self {
        case .empty, .bytes, .file: true
        case .stream, .upgrade: false
        }
    }
}

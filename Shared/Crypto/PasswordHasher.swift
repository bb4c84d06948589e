internal import CLinux
internal import Glibc

/// Hashes and verifies passwords on one or two threads of their own, with a bound on the requests in hand.
///
/// crypt(3) blocks for milliseconds and takes mebibytes: on an event loop or in the shared pool it would hold up
/// everything else, and unbounded it would be a way to exhaust memory. Requests are served in order.
package final class PasswordHasher: Sendable {
    /// The work factor of new hashes.
    package let cost: Int
    private let queue: PasswordQueue
    /// Compared with when there is no such user, so that the answer takes as long as for a wrong password.
    private let absentUserHash: String

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threads: 1 or 2; each can hold the memory of one hash.
    ///   - requestsMax: Running and waiting requests together; one more is refused with `.busy`. The default is
    ///     about a second of one thread's work at cost 5.
    ///   - cost: In `PasswordHash.costRange`; 5 is the C library's default, tests use 1.
    /// - Throws: `.password(.systemCall)` when the C library or the system refuses.
    package init(threads: Int = 1, requestsMax: Int = 64, cost: Int = 5) throws(PasswordHasherError) {
        precondition((1...2).contains(threads) && requestsMax > 0 && PasswordHash.costRange.contains(cost))
        do {
            absentUserHash = try PasswordHash().hash(SecureRandom.token(), cost: cost)
        } catch {
            throw .password(error)
        }
        self.cost = cost
        queue = PasswordQueue(requestsMax: requestsMax)
        for number in 0..<threads { try Self.startThread(queue, name: "password-\(number)") }
    }

    deinit { queue.stop() }

    /// A new hash of `password` at `cost`.
    package func hash(_ password: String) async throws(PasswordHasherError) -> String {
        let (queue, cost) = (self.queue, self.cost)
        return try await withCheckedContinuation { continuation in
            queue.add(.hash(password, cost: cost, continuation))
        }.get()
    }

    /// Whether `stored` is a hash of `password`.
    ///
    /// `nil`, for a user who does not exist, takes as long and is `false`. So does a hash of a lower cost: else it
    /// could be told who exists after the cost was raised.
    package func verify(_ password: String, stored: String?) async throws(PasswordHasherError) -> Bool {
        let (queue, compared) = (self.queue, stored ?? absentUserHash)
        let costs = PasswordHash.costsMissing(in: compared, to: cost)
        let matches = try await withCheckedContinuation { continuation in
            queue.add(.verify(password, stored: compared, also: costs, continuation))
        }.get()
        return matches && stored != nil
    }

    /// Whether `stored` was made otherwise than `hash` makes them now.
    package func needsRehash(stored: String) -> Bool {
        PasswordHash.needsRehash(stored: stored, cost: cost)
    }

    /// Running and waiting requests.
    package var requestCount: Int { queue.requestCount }

    /// Refuses what waits and what comes with `.stopped`; what runs is finished.
    ///
    /// Also done at the end of its life.
    package func stop() { queue.stop() }

    private static func startThread(_ queue: PasswordQueue, name: String) throws(PasswordHasherError) {
        let retained = Unmanaged.passRetained(queue)
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, passwordThread, retained.toOpaque())
        guard code == 0 else {
            retained.release()
            queue.stop()
            throw .password(.systemCall("pthread_create", errno: code))
        }
        // So that what hashing costs can be told from the rest of the process.
        pthread_setname_np(thread, name)
        pthread_detach(thread)
    }
}

/// The nice value of the threads: event loops come first, so that a flood of logins does not slow what is not a login.
private let passwordThreadNice: Int32 = 5

/// A thread's body.
///
/// A function and not a closure, so that no actor's isolation can be inferred for it.
private func passwordThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    // On Linux a thread has a nice value of its own (setpriority(2), NOTES), and to raise it is always allowed.
    setpriority(Int32(PRIO_PROCESS.rawValue), 0, passwordThreadNice)
    Unmanaged<PasswordQueue>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

import Contracts
import Core

/// What is known of sessions: a pure state machine, the time a parameter, that keeps R12.
///
/// A look-up that has to ask auth makes its entry *before* asking; a revocation that comes meanwhile wins over the
/// answer. Known sessions are served for a short time only, not past their expiry, and not once their user's account
/// has changed. While the revocation feed is silent nothing would end them, so auth is asked first, and what is known
/// serves only when it does not answer.
struct SessionCache {
    /// Limits and times, in milliseconds.
    struct Configuration: Sendable {
        /// Known sessions; the oldest makes room.
        var entriesMax = 100_000
        /// Sessions being asked for; one more is refused.
        var verificationsMax = 2000
        /// How long a known session is served without asking again.
        var ageMax: Int64 = 30_000
        /// How long the feed may be silent before auth is asked first.
        var silenceMax: Int64 = 5000
    }

    /// What a look-up comes to.
    enum Lookup: Equatable {
        case known(Session)
        /// Ask auth, then call `finish` or `fail`.
        case ask
        /// Somebody is asking for the same session.
        case wait
        /// Too many are asking.
        case full
    }

    /// What an answer of auth comes to.
    enum Outcome: Equatable {
        case answer(Session?)
        /// The answer is outdated: look up again.
        case again
    }

    private struct Known {
        var session: Session
        var asked: Asked
    }

    /// When a session was asked for.
    private struct Asked {
        /// Monotonic milliseconds.
        var at: Int64
        /// The changes of accounts known by then.
        var mark: Int
    }

    private struct Asking {
        var asked: Asked
        var isEnded = false
        var isOutdated = false
    }

    private let configuration: Configuration
    private var known: [String: Known] = [:]
    /// The keys of `known` in the order of their making, from `oldest` on; some are no longer in it.
    private var order: [String] = []
    private var oldest = 0
    private var asking: [String: Asking] = [:]
    private var changes = UserChanges()
    private var feedAnsweredAt: Int64

    init(_ configuration: Configuration = Configuration(), now: Int64) {
        self.configuration = configuration
        feedAnsweredAt = now
        // Until the feed has been heard it counts as silent.
        isFeedKnown = false
    }

    private var isFeedKnown: Bool

    /// How many sessions are known.
    var count: Int { known.count }

    /// Whether this session is being asked for.
    func isAsking(_ hash: String) -> Bool { asking[hash] != nil }

    /// - Parameters:
    ///   - hash: The session's hash.
    ///   - now: Monotonic milliseconds.
    ///   - wallClock: For the expiry.
    /// - Returns: What to do.
    mutating func look(_ hash: String, now: Int64, wallClock: Timestamp) -> Lookup {
        if let entry = known[hash] {
            if !isServable(entry, now: now, wallClock: wallClock) {
                known[hash] = nil
            } else if isFeedFresh(now: now) {
                return .known(entry.session)
            }
        }
        if asking[hash] != nil { return .wait }
        guard asking.count < configuration.verificationsMax else { return .full }
        asking[hash] = Asking(asked: Asked(at: now, mark: changes.mark))
        return .ask
    }

    /// Takes auth's answer for a session that was to be asked for.
    mutating func finish(_ hash: String, _ session: Session?) -> Outcome {
        guard let entry = asking.removeValue(forKey: hash) else { return .again }
        if entry.isEnded { return .answer(nil) }
        if entry.isOutdated { return .again }
        guard let session else {
            known[hash] = nil
            return .answer(nil)
        }
        guard changes.isUnchanged(session.userID, since: entry.asked.mark) else { return .again }
        insert(hash, Known(session: session, asked: entry.asked))
        return .answer(session)
    }

    /// Auth gave no answer.
    ///
    /// - Returns: The session, if it was verified lately and nothing was heard against it since.
    mutating func fail(_ hash: String, now: Int64, wallClock: Timestamp) -> Session? {
        asking[hash] = nil
        guard let entry = known[hash], isServable(entry, now: now, wallClock: wallClock) else { return nil }
        return entry.session
    }

    private func isServable(_ entry: Known, now: Int64, wallClock: Timestamp) -> Bool {
        now - entry.asked.at <= configuration.ageMax && entry.session.expiresAt > wallClock
            && changes.isUnchanged(entry.session.userID, since: entry.asked.mark)
    }

    // MARK: - The feed

    /// Milliseconds since the feed last answered, or since the start.
    func silence(now: Int64) -> Int64 { now - feedAnsweredAt }

    /// Whether revocations are being heard.
    func isFeedFresh(now: Int64) -> Bool { isFeedKnown && silence(now: now) <= configuration.silenceMax }

    /// The feed has answered, be it that nothing happened.
    mutating func feedAnswered(now: Int64) {
        feedAnsweredAt = now
        isFeedKnown = true
    }

    /// A session has ended, or has been replaced by a refresh, and then auth decides how long it still lives.
    mutating func revoke(_ revocation: Revocation) {
        known[revocation.sessionHash] = nil
        if revocation.replacedBy == nil {
            asking[revocation.sessionHash]?.isEnded = true
        } else {
            asking[revocation.sessionHash]?.isOutdated = true
        }
    }

    /// A user's account has changed, or is gone: what is known of their sessions is asked again.
    mutating func userChanged(_ userID: String) { changes.note(userID) }

    /// Revocations may have been missed: nothing is known any more.
    mutating func reset() {
        known = [:]
        order = []
        oldest = 0
        for hash in asking.keys { asking[hash]?.isOutdated = true }
    }

    // MARK: -

    private mutating func insert(_ hash: String, _ entry: Known) {
        while known.count >= configuration.entriesMax, oldest < order.count {
            known[order[oldest]] = nil
            oldest += 1
        }
        known[hash] = entry
        order.append(hash)
        // Keys that were made anew or dropped stay behind in `order`; it is rebuilt before it doubles.
        if order.count - oldest > 2 * configuration.entriesMax || oldest > configuration.entriesMax {
            var seen: Set<String> = []
            order = order[oldest...].reversed().filter { known[$0] != nil && seen.insert($0).inserted }.reversed()
            oldest = 0
        }
    }
}

import Synchronization

/// How many uploads go on at once, for each user, for each client network and in all.
///
/// Each holds a descriptor, a temporary file and some hundred KiB of memory for as long as its client likes to take.
/// Users alone would not do: anybody may be a guest, and another one.
final class UploadSlots: Sendable {
    private struct Counts {
        var byUser: [String: Int] = [:]
        var byNetwork: [String: Int] = [:]
        var total = 0
    }

    private let perUserMax: Int
    private let perNetworkMax: Int
    private let totalMax: Int
    private let counts = Mutex(Counts())

    /// - Parameters:
    ///   - perUserMax: A user's uploads at once.
    ///   - perNetworkMax: Those of all users of a client network.
    ///   - totalMax: Everybody's uploads at once.
    init(perUserMax: Int, perNetworkMax: Int, totalMax: Int) {
        self.perUserMax = perUserMax
        self.perNetworkMax = perNetworkMax
        self.totalMax = totalMax
    }

    /// Everybody's uploads now.
    var inProgress: Int { counts.withLock { $0.total } }

    /// Runs an upload in a slot.
    ///
    /// - Throws: `FilesError.tooManyUploads` when none is free, and what `body` throws.
    func with<Value>(_ caller: Caller, _ body: () async throws -> Value) async throws -> Value {
        try take(caller)
        defer { give(caller) }
        return try await body()
    }

    private func take(_ caller: Caller) throws {
        try counts.withLock { counts in
            guard counts.byUser[caller.userID, default: 0] < perUserMax else {
                throw FilesError.tooManyUploads("at most \(perUserMax) uploads at once")
            }
            guard counts.byNetwork[caller.network, default: 0] < perNetworkMax else {
                throw FilesError.tooManyUploads("at most \(perNetworkMax) uploads at once from one address")
            }
            guard counts.total < totalMax else {
                throw FilesError.tooManyUploads("the server takes at most \(totalMax) uploads at once")
            }
            counts.byUser[caller.userID, default: 0] += 1
            counts.byNetwork[caller.network, default: 0] += 1
            counts.total += 1
        }
    }

    private func give(_ caller: Caller) {
        counts.withLock { counts in
            counts.total -= 1
            Self.give(caller.userID, &counts.byUser)
            Self.give(caller.network, &counts.byNetwork)
        }
    }

    /// A key without uploads is not kept.
    private static func give(_ key: String, _ counts: inout [String: Int]) {
        let left = counts[key, default: 1] - 1
        counts[key] = left > 0 ? left : nil
    }
}

import Synchronization

/// How many uploads go on at once, for each user and in all: each holds a descriptor, a temporary file and some
/// hundred KiB of memory.
final class UploadSlots: Sendable {
    private struct Counts {
        var byUser: [String: Int] = [:]
        var total = 0
    }

    private let perUserMax: Int
    private let totalMax: Int
    private let counts = Mutex(Counts())

    /// - Parameters:
    ///   - perUserMax: A user's uploads at once.
    ///   - totalMax: Everybody's uploads at once.
    init(perUserMax: Int, totalMax: Int) {
        self.perUserMax = perUserMax
        self.totalMax = totalMax
    }

    /// Everybody's uploads now.
    var inProgress: Int { counts.withLock { $0.total } }

    /// Runs an upload in a slot.
    ///
    /// - Throws: `FilesError.tooManyUploads` when none is free, and what `body` throws.
    func with<Value>(_ userID: String, _ body: () async throws -> Value) async throws -> Value {
        try take(userID)
        defer { give(userID) }
        return try await body()
    }

    private func take(_ userID: String) throws {
        try counts.withLock { counts in
            guard counts.byUser[userID, default: 0] < perUserMax else {
                throw FilesError.tooManyUploads("at most \(perUserMax) uploads at once")
            }
            guard counts.total < totalMax else {
                throw FilesError.tooManyUploads("the server takes at most \(totalMax) uploads at once")
            }
            counts.byUser[userID, default: 0] += 1
            counts.total += 1
        }
    }

    private func give(_ userID: String) {
        counts.withLock { counts in
            counts.total -= 1
            let left = counts.byUser[userID, default: 1] - 1
            counts.byUser[userID] = left > 0 ? left : nil
        }
    }
}

package import Core
import Dispatch
import Net
package import Redis
package import Storage
import Synchronization

/// A database's history in Redis: its records in a stream, its newest image in a hash, each step one function.
///
/// All keys have one hash tag, `{name}`, so that a database lies on one primary of a cluster.
package final class RedisChangeLog: ChangeLog {
    /// Steps that stay behind a new image, for copies that have not seen them yet and for answers that were lost.
    package static let keptMax = 10_000
    /// Steps read at once.
    static let readMax = 64
    /// An image's pieces, in bytes.
    static let chunkBytes = 1 << 20
    /// How long an image that was not finished, or was replaced, is kept, in seconds.
    static let imageExpiry = 600
    /// How often an image is read that another one replaces meanwhile.
    static let imageAttemptsMax = 5

    private let client: any RedisSending
    private let head: String
    private let stream: String

    /// What a client needs for change logs: their functions, and time-outs that a database's queue can wait for.
    package static func configuration(name: String, log: Log?) -> RedisConfiguration {
        var configuration = RedisConfiguration()
        configuration.clientName = name
        configuration.libraries = [.changeLog]
        configuration.commandTimeout = .seconds(2)
        configuration.patience = .seconds(1)
        configuration.log = log
        return configuration
    }

    /// - Parameters:
    ///   - name: The database's; letters, digits, `:` and `-`.
    ///   - client: Made with `configuration`; its loop is another thread than the database's queue.
    package init(name: String, client: any RedisSending) {
        self.client = client
        head = "{\(name)}:head"
        stream = "{\(name)}:changes"
    }

    package func latestImage() throws(ChangeLogError) -> (mark: ChangeMark, bytes: [UInt8])? {
        for _ in 0..<Self.imageAttemptsMax {
            let place = try read("HMGET", .key(head), "i", "in", "it", "ic").elements ?? []
            guard place.count == 4, let key = place[0].text else { return nil }
            guard let number = place[1].integer, let token = place[2].text, let count = place[3].integer else {
                throw .unusable("\(head) is damaged")
            }
            if let bytes = try image(key, chunks: count) {
                return (ChangeMark(number: Int64(number), token: token), bytes)
            }
        }
        throw .unusable("an image was not there, \(Self.imageAttemptsMax) times")
    }

    package func records(after mark: ChangeMark) throws(ChangeLogError) -> [ChangeRecord]? {
        let answer = try read(
            "FCALL",
            "changelog_read_2",
            2,
            .key(head),
            .key(stream),
            .text(String(mark.number)),
            .text(mark.token),
            .integer(Self.readMax)
        )
        guard answer != .null, let entries = answer.elements else { return nil }
        var records: [ChangeRecord] = []
        for entry in entries {
            guard let record = Self.record(entry) else { throw .unusable("\(stream) is damaged") }
            records.append(record)
        }
        return records
    }

    package func append(
        _ record: ChangeRecord,
        after mark: ChangeMark,
        evenWhenFull: Bool
    ) throws(ChangeLogError) -> Bool {
        try function(
            evenWhenFull ? "changelog_append_full_2" : "changelog_append_2",
            [.key(head), .key(stream)],
            [
                .text(String(mark.number)), .text(mark.token), .text(record.mark.token), .text(record.kind.rawValue),
                .bytes(record.bytes),
            ]
        ) == .integer(1)
    }

    package func publish(
        _ image: UnsafeRawBufferPointer,
        _ record: ChangeRecord,
        after mark: ChangeMark
    ) throws(ChangeLogError) -> Bool {
        let key = "\(head):\(record.mark.token)"
        do {
            if try publish(image, under: key, record, after: mark) { return true }
        } catch {
            forget(key)
            throw error
        }
        forget(key)
        return false
    }

    // MARK: -

    private func publish(
        _ image: UnsafeRawBufferPointer,
        under key: String,
        _ record: ChangeRecord,
        after mark: ChangeMark
    ) throws(ChangeLogError) -> Bool {
        var count = 0
        while count * Self.chunkBytes < image.count {
            let start = count * Self.chunkBytes
            let chunk = Array(image[start..<min(start + Self.chunkBytes, image.count)])
            _ = try function(
                "changelog_store_2",
                [.key(head), .key(key)],
                [.integer(count), .bytes(chunk), .integer(Self.imageExpiry)]
            )
            count += 1
        }
        return try function(
            "changelog_publish_2",
            [.key(head), .key(stream), .key(key)],
            [
                .text(String(mark.number)), .text(mark.token), .text(record.mark.token), .text(record.kind.rawValue),
                .integer(count), .integer(Self.keptMax), .integer(Self.imageExpiry),
            ]
        ) == .integer(1)
    }

    /// Takes away an image that was not published, or only in part: its room may be what is wanting.
    ///
    /// Where it cannot, the image expires.
    private func forget(_ key: String) {
        _ = try? function("changelog_forget_2", [.key(head), .key(key)], [])
    }

    private static func record(_ entry: RESPValue) -> ChangeRecord? {
        guard let parts = entry.elements, parts.count == 2, let number = parts[0].text?.split(separator: "-").last,
            let number = Int64(number), let fields = parts[1].elements, fields.count == 6, let token = fields[1].text,
            let kind = fields[3].text.flatMap(ChangeRecord.Kind.init(rawValue:)), let bytes = fields[5].bytes
        else { return nil }
        return ChangeRecord(mark: ChangeMark(number: number, token: token), kind: kind, bytes: bytes)
    }

    /// - Returns: `nil` when it is not, or no longer, there.
    private func image(_ key: String, chunks: Int) throws(ChangeLogError) -> [UInt8]? {
        var bytes: [UInt8] = []
        for index in 0..<chunks {
            guard let chunk = try read("HGET", .key(key), .integer(index)).bytes else { return nil }
            bytes += chunk
        }
        return bytes
    }

    private func function(
        _ name: String,
        _ keys: [RedisArgument],
        _ arguments: [RedisArgument]
    ) throws(ChangeLogError) -> RESPValue {
        try change(RedisCommand("FCALL", [.text(name), .integer(keys.count)] + keys + arguments))
    }

    private func read(_ name: String, _ arguments: RedisArgument...) throws(ChangeLogError) -> RESPValue {
        do throws(RedisError) {
            return try send(RedisCommand(name, arguments))
        } catch {
            throw error.isPassing ? .unavailable("\(error)") : .unusable("\(error)")
        }
    }

    private func change(_ command: RedisCommand) throws(ChangeLogError) -> RESPValue {
        do throws(RedisError) {
            return try send(command)
        } catch {
            if case .server(let answer) = error, answer.code == .outOfMemory { throw .full("\(answer)") }
            if error.mayHaveRun { throw .outcomeUnknown("\(error)") }
            throw error.isPassing ? .unavailable("\(error)") : .unusable("\(error)")
        }
    }

    /// Sends a command and blocks until its answer, which comes in time.
    private func send(_ command: RedisCommand) throws(RedisError) -> RESPValue {
        let client = client
        precondition(!client.loop.isCurrent, "a change log is asked on the loop that its answers come on")
        let answer = Answer()
        client.loop.submit { client.send(command, then: answer.set) }
        return try answer.wait().get()
    }
}

/// One answer that a thread blocks for.
private final class Answer: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let result = Mutex<Result<RESPValue, RedisError>?>(nil)

    func set(_ value: Result<RESPValue, RedisError>) {
        result.withLock { $0 = value }
        semaphore.signal()
    }

    func wait() -> Result<RESPValue, RedisError> {
        semaphore.wait()
        return result.withLock { $0 } ?? .failure(.shutDown(mayHaveRun: true))
    }
}

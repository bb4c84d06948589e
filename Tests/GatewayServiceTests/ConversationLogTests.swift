import Core
import Net
import TestSupport
import Testing

@testable import GatewayService

/// What both engines promise.
@Suite("Conversation log")
struct ConversationLogTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Opens, runs and closes, so that the next one can open the same log.
    @discardableResult
    private func withLog<Value>(_ body: (LogFixture) async throws -> Value) async throws -> Value {
        let fixture = try await LogFixture(directory.path)
        let value = try await body(fixture)
        await fixture.log.close()
        return value
    }

    @Test("the same client_id from the same sender is the same entry, for ever")
    func idempotent() async throws {
        let draft = Draft(clientID: "k1", content: "first")
        let again = Draft(clientID: "k1", content: "again")
        let repeated = Outcome.repeated(1, content: "first")
        try await withLog { log async throws in
            #expect(await log.append([draft, again]) == [.appended(1), repeated])
            #expect(await log.append(again) == repeated)
            #expect(await log.append(batches: [[again], [again, again]]) == [[repeated], [repeated, repeated]])
        }
        for _ in 0..<2 {
            try await withLog { log async throws in
                #expect(await log.append(again) == repeated)
                #expect(try await log.read("c:u1", .after(0)).contents == ["first"])
            }
        }
    }

    @Test("gives dense sequences to many conversations and batches")
    func dense() async throws {
        try await withLog { log async throws in
            let batches = (0..<60).map { batch in
                (0..<20).map { Draft(conversationID: "c:u\($0 % 7)", content: "\(batch).\($0)") }
            }
            let outcomes = await log.append(batches: batches)
            var seen: [String: Set<Int>] = [:]
            for (drafts, outcomes) in zip(batches, outcomes) {
                for (draft, outcome) in zip(drafts, outcomes) {
                    guard case .appended(let sequence) = outcome else {
                        Issue.record("\(outcome)")
                        continue
                    }
                    #expect(seen[draft.conversationID, default: []].insert(sequence).inserted)
                }
            }
            for (name, sequences) in seen {
                #expect(sequences == Set(1...sequences.count))
                let page = try await log.read(name, .after(0))
                #expect(page.sequences == Array(1...sequences.count))
                #expect(page.head == sequences.count)
                // Within a batch the order is kept.
                for batch in 0..<60 {
                    let own = page.contents.filter { $0.hasPrefix("\(batch).") }
                    #expect(
                        own
                            == own.sorted {
                                Int($0.split(separator: ".")[1]) ?? 0 < Int($1.split(separator: ".")[1]) ?? 0
                            }
                    )
                }
            }
        }
    }

    @Test("another sender, another conversation or no client_id is another message")
    func notRepeats() async throws {
        try await withLog { log async throws in
            let outcomes = await log.append([
                Draft(clientID: "k"), Draft(sender: "a1", addressee: "u1", clientID: "k"),
                Draft(conversationID: "c:u2", clientID: "k"),
                Draft(), Draft(), Draft(clientID: "K"), Draft(clientID: "k "),
            ])
            #expect(outcomes == [1, 2, 1, 3, 4, 5, 6].map { .appended($0) })
        }
    }

    @Test("client_ids that look alike are different", arguments: [("e\u{301}", "é"), ("a\0b", "a"), ("1\0", "1")])
    func lookalikes(one: String, other: String) async throws {
        try await withLog { log async throws in
            #expect(await log.append([Draft(clientID: one), Draft(clientID: other)]) == [.appended(1), .appended(2)])
            #expect(await log.append(Draft(clientID: one)).sequence == 1)
            #expect(await log.append(Draft(clientID: other)).sequence == 2)
        }
    }

    @Test("sender and addressee become members by their entry")
    func members() async throws {
        try await withLog { log async throws in
            func members(_ draft: Draft) async -> [String] {
                switch await log.outcomes([draft])[0] {
                case .appended(_, let members), .repeated(_, _, let members): members.sorted()
                default: []
                }
            }
            #expect(await members(Draft(clientID: "k")) == ["a1", "u1"])
            #expect(await members(Draft(sender: "a2", addressee: "u1")) == ["a1", "a2", "u1"])
            #expect(await members(Draft(addressee: nil)) == ["a1", "a2", "u1"])
            #expect(await members(Draft(addressee: "a9", clientID: "k")) == ["a1", "a2", "u1"])
        }
        try await withLog { log async throws in
            let outcome = await log.outcomes([Draft(sender: "a3", addressee: "u1")])[0]
            guard case .appended(4, let members) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(members.sorted() == ["a1", "a2", "a3", "u1"])
            #expect(
                try await log.positions(of: "a2") == [
                    MemberPosition(conversationID: "c:u1", delivered: 0, head: 4, start: 0)
                ]
            )
            #expect(try await log.positions(of: "a9") == [])
        }
    }

    @Test("a delivered position goes forward only, and is there after reopening")
    func delivered() async throws {
        try await withLog { log async throws in
            await log.append((0..<9).map { Draft(content: "\($0)") } + [Draft(conversationID: "c:u2", sender: "u2")])
            for sequence in [5, 3] { log.deliver("a1", "c:u1", sequence) }
            #expect(try await eventually { try await log.position(of: "a1", in: "c:u1")?.delivered == 5 })
            log.deliver("a1", "c:u1", 4)
            log.deliver("a1", "c:u2", 1)
            log.deliver("stranger", "c:u1", 9)
            log.deliver("a1", "c:none", 9)
            #expect(try await eventually { try await log.position(of: "a1", in: "c:u2")?.delivered == 1 })
            #expect(try await log.position(of: "a1", in: "c:u1")?.delivered == 5)
            #expect(try await log.position(of: "u1", in: "c:u1")?.delivered == 0)
            #expect(try await log.position(of: "stranger", in: "c:u1") == nil)
            // Not yet stored when the log is closed: stored by it.
            log.deliver("u1", "c:u1", 8)
        }
        try await withLog { log async throws in
            let positions = try await log.positions(of: "a1")
            #expect(
                positions == [
                    MemberPosition(conversationID: "c:u1", delivered: 5, head: 9, start: 0),
                    MemberPosition(conversationID: "c:u2", delivered: 1, head: 1, start: 0),
                ]
            )
            #expect(try await log.position(of: "u1", in: "c:u1")?.delivered == 8)
        }
    }

    @Test("after close reads fail and the files can be opened at once")
    func closed() async throws {
        for round in 1...5 {
            let fixture = try await LogFixture(directory.path)
            #expect(await fixture.append(Draft()) == .appended(round))
            await fixture.log.close()
            await #expect(throws: (any Error).self) { try await fixture.check() }
        }
    }

    @Test("what is appended after close is answered, and not stored")
    func appendAfterClose() async throws {
        let fixture = try await LogFixture(directory.path)
        #expect(await fixture.append(Draft()) == .appended(1))
        await fixture.log.close()
        #expect(await fixture.append(Draft()) == .failed(.unavailable))
        try await withLog { #expect(await $0.append(Draft()) == .appended(2)) }
    }
}

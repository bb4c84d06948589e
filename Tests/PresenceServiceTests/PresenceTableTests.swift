import Core
import Testing

@testable import PresenceService

@Suite("Presence table")
struct PresenceTableTests {
    private var table = PresenceTable(usersMax: 3, statuses: ["a1": .busy])
    private let start = Moment.start

    @Test("the first place is a join, further ones are not news, the last departure is one after its grace")
    mutating func places() throws {
        guard case .joined(let news) = table.attach(.agent("a1"), to: 1, now: start) else {
            Issue.record("expected a join")
            return
        }
        #expect(news.kind == .joined)
        #expect(news.status == .busy)
        #expect(table.attach(.agent("a1"), to: 2, now: start) == .known)
        table.detach("a1", from: 1, grace: 5000, now: start)
        #expect(table.nextDeadline == nil)
        table.detach("a1", from: 2, grace: 5000, now: start.advanced(by: 100))
        #expect(table.nextDeadline == start.monotonic + 5100)
        #expect(table.expire(now: start.advanced(by: 5099)) == [])
        let left = table.expire(now: start.advanced(by: 5100))
        #expect(left.words == ["left:a1"])
        #expect(left.first?.lastSeen == start.wall.advanced(byMilliseconds: 100))
        #expect(table.count == 0)
    }

    @Test("coming back within the grace makes no news, and the next drop has its own grace")
    mutating func back() {
        _ = table.attach(.customer("u1"), to: 1, now: start)
        table.detach("u1", from: 1, grace: 5000, now: start)
        #expect(table.attach(.customer("u1"), to: 2, now: start.advanced(by: 4999)) == .known)
        #expect(table.expire(now: start.advanced(by: 60_000)) == [])
        table.detach("u1", from: 2, grace: 30_000, now: start.advanced(by: 60_000))
        #expect(table.expire(now: start.advanced(by: 89_999)) == [])
        #expect(table.expire(now: start.advanced(by: 90_000)).words == ["left:u1"])
    }

    @Test("leaving where one is not changes nothing")
    mutating func notThere() {
        _ = table.attach(.customer("u1"), to: 1, now: start)
        table.detach("u1", from: 2, grace: 5000, now: start)
        table.detach("u2", from: 1, grace: 5000, now: start)
        #expect(table.nextDeadline == nil)
        #expect(table.person("u1")?.registrations == [1])
    }

    @Test("an announcement replaces what was known of its registration, and of no other")
    mutating func announcement() {
        for userID in ["u1", "u2"] { _ = table.attach(.customer(userID), to: 1, now: start) }
        _ = table.attach(.customer("u1"), to: 2, now: start)
        table.beginAnnouncement(of: 1)
        _ = table.attach(.customer("u3"), to: 1, now: start)
        #expect(table.person("u2")?.registrations == [1])
        table.endAnnouncement(of: 1, grace: 5000, now: start)
        #expect(table.person("u1")?.registrations == [2])
        #expect(table.person("u2")?.registrations == [])
        #expect(table.person("u3")?.registrations == [1])
        #expect(table.count(at: 1) == 1)
        #expect(table.expire(now: start.advanced(by: 5000)).words == ["left:u2"])
    }

    @Test("at its limit the table refuses a new user and goes on with known ones")
    mutating func limit() {
        for userID in ["u1", "u2", "u3"] { _ = table.attach(.customer(userID), to: 1, now: start) }
        #expect(table.attach(.customer("u4"), to: 1, now: start) == .refused)
        #expect(table.attach(.customer("u3"), to: 2, now: start) == .known)
        table.detach("u4", from: 1, grace: 5000, now: start)
        table.detach("u1", from: 1, grace: 0, now: start)
        #expect(table.expire(now: start).words == ["left:u1"])
        #expect(table.attach(.customer("u4"), to: 1, now: start) != .refused)
    }

    @Test("a status is news once, and only for someone who is online; it outlives their presence when kept")
    mutating func status() {
        #expect(table.setStatus(.away, of: "u1", now: start) == nil)
        _ = table.attach(.customer("u1"), to: 1, now: start)
        #expect(table.person("u1")?.status == .away)
        #expect(table.setStatus(.online, of: "u1", now: start)?.kind == .status)
        #expect(table.setStatus(.online, of: "u1", now: start) == nil)
        #expect(table.setStatus(.busy, of: "u1", isKept: false, now: start)?.status == .busy)
        #expect(table.chosenStatus(of: "u1") == .online)
    }

    @Test("pages are in the order of user ids, by type, without holes or repeats")
    mutating func pages() {
        _ = table.attach(.customer("u2"), to: 1, now: start)
        _ = table.attach(.agent("a1"), to: 1, now: start)
        #expect(table.page(type: nil, after: nil, limit: 5).map(\.identity.userID) == ["a1", "u2"])
        _ = table.attach(.customer("u1"), to: 1, now: start)
        #expect(table.page(type: nil, after: nil, limit: 2).map(\.identity.userID) == ["a1", "u1"])
        #expect(table.page(type: nil, after: "u1", limit: 2).map(\.identity.userID) == ["u2"])
        #expect(table.page(type: .customer, after: "b", limit: 9).map(\.identity.userID) == ["u1", "u2"])
        #expect(table.page(type: .agent, after: "a1", limit: 9).isEmpty)
        #expect(table.page(type: nil, after: "z", limit: 9).isEmpty)
    }

    @Test("routing hears of an agent's first connection, of the last one's end at once, and of their status")
    mutating func agentNews() {
        var table = PresenceTable(usersMax: 10)
        func words(_ news: [AgentNews]) -> [String] {
            news.map { "\($0.agentID) \($0.isConnected ? "there" : "gone") \($0.status) \($0.heardAt - 1_000_000)" }
        }
        let later = Moment.start.advanced(by: 5000)
        _ = table.attach(.agent("a1"), to: 1, now: .start)
        _ = table.attach(.agent("a1"), to: 2, now: .start)
        _ = table.attach(.customer("u1"), to: 1, now: .start)
        var news = words(table.takeAgentNews())
        #expect(news == ["a1 there online 0"])
        _ = table.setStatus(.busy, of: "a1", now: .start)
        table.detach("a1", from: 1, grace: 5000, silent: 1000, now: later)
        news = words(table.takeAgentNews())
        #expect(news == ["a1 there busy 0"])
        // Last heard by the other gateway.
        table.detach("a1", from: 2, grace: 5000, silent: 3000, now: later)
        table.detach("u1", from: 1, grace: 5000, now: later)
        _ = table.attach(.agent("a1"), to: 1, now: later)
        news = words(table.takeAgentNews())
        #expect(news == ["a1 gone busy 4000", "a1 there busy 5000"])
        table.detachAll(from: 1, grace: 5000, silent: 5000, now: later.advanced(by: 5000))
        news = words(table.takeAgentNews())
        #expect(news == ["a1 gone busy 5000"])
        _ = table.expire(now: later.advanced(by: 20_000))
        news = words(table.takeAgentNews())
        #expect(news.isEmpty)
    }
}

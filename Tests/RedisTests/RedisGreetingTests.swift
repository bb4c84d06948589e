import Foundation
import Testing

@testable import Redis

@Suite("Greeting a server")
struct RedisGreetingTests {
    private let library = RedisLibrary(name: "a", version: 1, source: "x")

    private func greeting(_ url: String, name: String? = nil, libraries: [RedisLibrary] = []) throws -> RedisGreeting {
        RedisGreeting(try RedisURL(url), clientName: name, libraries: libraries)
    }

    private func said(_ step: RedisGreeting.Step) -> [String] {
        guard case .send(let command) = step else { return ["\(step)"] }
        let words = String(decoding: command.bytes, as: UTF8.self).components(separatedBy: "\r\n")
        return stride(from: 2, to: words.count, by: 2).map { words[$0] }
    }

    @Test("to a server of today")
    func today() throws {
        var greeting = try greeting("redis://u:p@h/4", name: "gw", libraries: [library])
        #expect(said(.send(greeting.first)) == ["HELLO", "3", "AUTH", "u", "p", "SETNAME", "gw"])
        let hello = RESPValue.map([
            .init(.status("mode"), .string(Array("cluster".utf8))), .init(.status("role"), .status("master")),
        ])
        #expect(said(greeting.take(hello)) == ["SELECT", "4"])
        #expect(said(greeting.take(.status("OK"))) == ["FUNCTION", "LOAD", "REPLACE", "#!lua name=a_1\nx"])
        #expect(said(greeting.take(.status("a_1"))) == ["PING"])
        guard case .done(let server) = greeting.take(.status("PONG")) else {
            Issue.record("not done")
            return
        }
        #expect(server == RedisGreeting.Server(isCluster: true, isReplica: false))
    }

    @Test("to one that does not know HELLO")
    func old() throws {
        var greeting = try greeting("redis://:p@h", name: "gw")
        #expect(said(.send(greeting.first)) == ["HELLO", "3", "AUTH", "default", "p", "SETNAME", "gw"])
        let unknown = RESPValue.error(RedisServerError(.err, "unknown command `HELLO`, with args beginning with: "))
        #expect(said(greeting.take(unknown)) == ["AUTH", "p"])
        #expect(said(greeting.take(.status("OK"))) == ["CLIENT", "SETNAME", "gw"])
        #expect(said(greeting.take(.error(RedisServerError(.err, "no names")))) == ["PING"])
        guard case .done(let server) = greeting.take(.status("PONG")) else {
            Issue.record("not done")
            return
        }
        #expect(server.isCluster == nil)
    }

    @Test("no failure repeats the password, which some servers send back")
    func secrecy() throws {
        var greeting = try greeting("redis://:hidden@h")
        func unknown(_ name: String) -> RESPValue {
            .error(RedisServerError(.err, "unknown command '\(name)', with args beginning with: 'hidden' "))
        }
        #expect(said(greeting.take(unknown("HELLO"))) == ["AUTH", "hidden"])
        guard case .failed(let error) = greeting.take(unknown("AUTH")) else {
            Issue.record("not refused")
            return
        }
        #expect(error == RedisServerError(.err, "unknown command 'AUTH'"))
    }

    @Test("functions: a full server keeps what it has, a replica gets none, one that does not compile is refused")
    func functions() throws {
        for code in [RedisServerError.Code.outOfMemory, .misconfigured, .readOnly] {
            var greeting = try greeting("redis://h", libraries: [library])
            _ = greeting.take(.map([]))
            #expect(said(greeting.take(.error(RedisServerError(code, "no")))) == ["PING"])
        }
        var replica = try greeting("redis://h", libraries: [library])
        #expect(said(replica.take(.map([.init(.status("role"), .status("replica"))]))) == ["PING"])
        var broken = try greeting("redis://h", libraries: [library])
        _ = broken.take(.map([]))
        guard case .failed(let error) = broken.take(.error(RedisServerError(.err, "Error compiling function"))) else {
            Issue.record("not refused")
            return
        }
        #expect(!error.isPassing)
    }

    @Test("a server that loads its data is not ready; a user who may not ping is no reason")
    func ping() throws {
        var loading = try greeting("redis://h")
        #expect(said(loading.take(.map([]))) == ["PING"])
        guard case .failed(let error) = loading.take(.error(RedisServerError(.loading, "Redis is loading"))) else {
            Issue.record("not refused")
            return
        }
        #expect(error.isPassing)
        var silent = try greeting("redis://h")
        _ = silent.take(.map([]))
        guard case .done = silent.take(.error(RedisServerError(.noPermission, "no"))) else {
            Issue.record("not done")
            return
        }
    }
}

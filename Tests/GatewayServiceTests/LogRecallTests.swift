import Core
import Foundation
import Storage
import TestSupport
import Testing

@testable import GatewayService

@Suite("Recall of messages")
struct LogRecallTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data((#"{"seq":1,"# + text).utf8)) as? [String: Any])
    }

    /// Where the message lies that is recalled.
    enum Place: CaseIterable { case sameCommit, tail, index, reopened }

    @Test("takes the content away and leaves who, when and client_id", arguments: Place.allCases)
    func rewritten(place: Place) async throws {
        let bench = try await EngineBench(directory.path)
        let nasty = #"secret "recalled":true,"from_user_id":"a1" \ "# + "\u{1}é"
        let message = Draft(clientID: #"k"1\"#, content: nasty, fileID: "f1")
        let recall = Draft.recall(1, clientID: "r1")
        let before: String
        if place == .sameCommit {
            before = message.text(messageID: "")
            #expect(try await bench.commit([message, recall]) == [.appended(1), .appended(2)])
        } else {
            try await bench.commit([message])
            before = try await bench.text(1)
            if place == .index { try bench.index() }
            if place == .reopened { try await bench.reopen() }
            #expect(try await bench.commit([recall]) == [.appended(2)])
        }
        let (old, new) = (try object(before), try object(try await bench.text(1)))
        #expect(
            Set(new.keys) == [
                "seq", "type", "id", "conversation_id", "timestamp", "from_user_id", "to_user_id", "content_type",
                "content", "client_id", "recalled", "recall_seq",
            ]
        )
        for name in ["type", "conversation_id", "timestamp", "from_user_id", "to_user_id", "client_id"] {
            #expect(new[name] as? String == old[name] as? String, "\(name)")
        }
        #expect(new["content"] as? String == "")
        #expect(new["content_type"] as? String == "Text")
        #expect(new["recalled"] as? Bool == true)
        #expect(new["recall_seq"] as? Int == 2)
        #expect(try await bench.text(1).hasPrefix(#""type":"Chat","id":""#))
        #expect(StoredEntry.acknowledged(in: Array(try await bench.text(1).utf8)) != nil)
        #expect(try await bench.text(2).contains(#""target_seq":1"#))
        // The message's own key still finds it.
        for _ in 0..<2 {
            #expect(try await bench.commit([message]) == [.repeated(1, content: "")])
            try await bench.reopen()
        }
    }

    @Test("keeps an addressee of null, and one that the log completed")
    func completedAddressee() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.commit([Draft(addressee: nil), .system(.assigned(agentID: "a1")), Draft(addressee: nil)])
        try await bench.commit([.recall(1), .recall(3)])
        #expect(try await bench.text(1).contains(#""from_user_id":"u1","to_user_id":null,"content_type":"Text""#))
        #expect(try await bench.text(3).contains(#""from_user_id":"u1","to_user_id":"a1","content_type":"Text""#))
    }

    @Test("only one's own message that exists, within two minutes")
    func refused() async throws {
        let bench = try await EngineBench(directory.path)
        let sent = Timestamp(milliseconds: 1_768_903_200_000)
        func recall(_ target: Int, by sender: String = "u1", after milliseconds: Int64 = 0) async throws -> Outcome {
            let time = sent.advanced(byMilliseconds: milliseconds)
            return try await bench.commit([.recall(target, by: sender, time: time)])[0]
        }
        // Refused before there is a conversation, which is not made by it.
        #expect(try await recall(1) == .failed(.messageUnknown))
        #expect(try await bench.conversation("c:u1", for: "u1") == nil)
        try await bench.commit([Draft(time: sent), Draft(sender: "a1", addressee: "u1", time: sent), Draft(time: sent)])
        try await bench.commit([.system(.assigned(agentID: "a1"))])
        for target in [0, -1, 5, Int.max, Int.min] { #expect(try await recall(target) == .failed(.messageUnknown)) }
        #expect(try await recall(2) == .failed(.recallForbidden))
        #expect(try await recall(4) == .failed(.recallForbidden))
        #expect(try await recall(4, by: EntryKind.system) == .failed(.recallForbidden))
        #expect(try await recall(1, by: "a1") == .failed(.recallForbidden))
        #expect(try await recall(1, after: 120_001) == .failed(.recallTooLate))
        #expect(try await recall(2, after: 120_001) == .failed(.recallForbidden))
        #expect(try await bench.read("c:u1", .after(0)).head == 4)
        #expect(try await recall(1, after: 120_000) == .appended(5))
        #expect(try await recall(3, after: -5000) == .appended(6))
        // A recall is no message.
        #expect(try await recall(5) == .failed(.recallForbidden))
        #expect(try await bench.read("c:u1", .after(0)).contents == ["", "hello", "", "", "", ""])
    }

    @Test("a second recall is answered with the first one, however late and under whatever client_id")
    func repeated() async throws {
        let bench = try await EngineBench(directory.path)
        let sent = Timestamp(milliseconds: 1_768_903_200_000)
        try await bench.commit([Draft(time: sent), .recall(1, clientID: "r1", time: sent)])
        let first = try await bench.text(2)
        for isReopened in [false, true] {
            if isReopened { try await bench.reopen() }
            for (clientID, delay) in [("r1", 0), ("r2", 0), (nil, 1_000_000)] {
                let draft = Draft.recall(1, clientID: clientID, time: sent.advanced(byMilliseconds: Int64(delay)))
                let outcome = try await bench.outcomes([draft])[0]
                guard case .repeated(2, let stored, let audience) = outcome else {
                    Issue.record("\(outcome)")
                    continue
                }
                #expect(String(decoding: stored, as: UTF8.self) == first)
                #expect(audience.sorted() == ["a1", "u1"])
            }
            // Another's stays forbidden.
            #expect(try await bench.commit([.recall(1, by: "a1")]) == [.failed(.recallForbidden)])
        }
        #expect(try await bench.read("c:u1", .after(0)).head == 2)
    }

    @Test("the file of a recalled message is revoked, with its source, by an item stored with the recall")
    func revoked() async throws {
        let bench = try await EngineBench(directory.path)
        let message = Draft(clientID: #"k "1""#, fileID: "f1")
        try await bench.commit([message, Draft(clientID: "k2"), Draft(sender: "a1", addressee: "u1", fileID: "f2")])
        try await bench.run(settling: try await bench.outbox().map(\.number))
        let file = GrantedFile(fileID: "f1", source: #"c:u1 u1 k "1""#)
        let committed = try await bench.run([.recall(1), .recall(2)])
        #expect(committed.due.map(\.work) == [.revoke(file)])
        try await bench.reopen()
        #expect(try await bench.outbox() == committed.due)
        // Without a client_id there is one source for all of the sender's messages there that carry the file.
        #expect(
            try await bench.run([.recall(3, by: "a1")]).due.map(\.work)
                == [.revoke(GrantedFile(fileID: "f2", source: "c:u1 a1 "))]
        )
        try await bench.run(settling: try await bench.outbox().map(\.number))
        #expect(try await bench.outbox() == [])
        // A second recall says nothing new; a repeat of the message has had its file granted again.
        #expect(try await bench.run([.recall(1)]).due == [])
        let first = try await bench.run([message]).due
        #expect(first.map(\.work) == [.revoke(file)])
        let second = try await bench.run([message, message]).due
        #expect(second.map(\.work) == [.revoke(file)])
        #expect(try #require(second.first).number > #require(first.first).number)
        #expect(try await bench.outbox() == second)
        // What was settled under the older number leaves the newer one alone.
        try await bench.run(settling: first.map(\.number))
        #expect(try await bench.outbox() == second)
        // A repeat of a message that was not recalled is granted for good.
        try await bench.run([Draft(clientID: "k4")])
        #expect(try await bench.run([Draft(clientID: "k4", fileID: "f1")]).due == [])
    }

    @Test("what was recalled is not left in the file", arguments: [10, 20_000])
    func erased(length: Int) throws {
        let secret = "Zebra-4711-"
        do {
            let bench = try LogBench(directory.path)
            try bench.commit([Draft(content: String(repeating: secret, count: length / secret.utf8.count + 1))])
            try bench.commit([.recall(1)])
            try bench.connection.checkpoint(.truncate)
        }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: LogFiles(directory: directory.path).log))
        #expect(bytes.range(of: Data(secret.utf8)) == nil)
    }

    @Test("members and routing stay as they are")
    func noMember() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([
            Draft(addressee: nil), .system(.assigned(agentID: "a1")), Draft(sender: "a1", addressee: "u1"),
            .system(.closed(asked: 3)),
        ])
        let committed = try await bench.run([.recall(3, by: "a1"), .recall(1)])
        #expect(committed.outcomes == [.appended(5), .appended(6)])
        #expect(committed.audiences == [["u1"], ["u1"]])
        #expect(committed.due == [])
    }

    @Test("a key that names an entry of another type is refused, not acknowledged")
    func keyOfAnotherType() async throws {
        let bench = try await EngineBench(directory.path)
        let message = Draft(clientID: "k1")
        try await bench.commit([message])
        #expect(try await bench.commit([.recall(1, clientID: "k1")]) == [.failed(.clientIDReused)])
        #expect(try await bench.commit([.recall(1, clientID: "k2")]) == [.appended(2)])
        #expect(try await bench.commit([Draft(clientID: "k2")]) == [.failed(.clientIDReused)])
        #expect(try await bench.commit([.recall(1, clientID: "k2")]) == [.repeated(2, content: nil)])
    }
}

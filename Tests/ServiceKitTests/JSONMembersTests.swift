import Core
import Foundation
import HTTP
import ServiceKit
import Testing

@Suite("Members of a JSON body, read one by one")
struct JSONMembersTests {
    private func members(_ body: String) throws -> JSONMembers { try JSONMembers(Array(body.utf8)) }

    /// What `read` finds wrong with a body, and what `finish` then does.
    private func errors(_ body: String, _ read: (inout JSONMembers) -> Void) throws -> [String] {
        var members = try members(body)
        read(&members)
        do throws(Problem) {
            try members.finish()
            #expect(members.errors.isEmpty)
            return []
        } catch {
            #expect(error.status == 422 && error.code == .invalidField)
            #expect(error.errors == members.errors)
            let lines = error.errors.map { "\($0.field): \($0.rule)" }
            #expect(error.detail == lines.joined(separator: "; "))
            return lines
        }
    }

    @Test("each reader gives what is there, and nothing for what is left out")
    func reads() throws {
        let body = #"{"s":"a\u00e9\"","e":"","t":true,"f":false,"i":7,"n":null,"l":[1,{"x":null}],"o":{"s":1}}"#
        var members = try members(body)
        let texts = ["s", "e", "gone"].map { members.string($0) }
        #expect(texts == ["aé\"", "", nil])
        let flags = ["t", "f", "gone"].map { members.boolean($0) }
        #expect(flags == [true, false, nil])
        let numbers = [members.integer("i", in: 7...7), members.integer("gone", in: 0...9)]
        #expect(numbers == [7, nil])
        let there = ["s", "n", "l", "o", "gone"].map { members.has($0) }
        #expect(there == [true, true, true, true, false])
        let null = ["n", "s", "gone"].map { members.isNull($0) }
        #expect(null == [true, false, false])
        #expect(members.errors.isEmpty)
        try members.finish()
    }

    @Test(
        "a number counts by its value, however it is written",
        arguments: [
            ("1.0", 1), ("1e3", 1000), ("1E+3", 1000), ("12.5e1", 125), ("-0", 0), ("0", 0), ("-5", -5),
            ("9007199254740993", 9_007_199_254_740_993), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("1.5", nil), ("1e-1", nil), ("9223372036854775808", nil), ("1e19", nil), ("1e400", nil), ("-1e400", nil),
            ("true", nil), ("\"1\"", nil), ("null", nil), ("[1]", nil), ("{}", nil),
        ] as [(String, Int?)]
    )
    func numbers(text: String, value: Int?) throws {
        var members = try members(#"{"i":\#(text)}"#)
        let read = members.integer("i", in: .min ... .max)
        #expect(read == value)
        #expect(members.errors.isEmpty == (value != nil))
    }

    @Test("a range's ends are in it, and what is outside is told the range")
    func ranges() throws {
        for text in ["1", "200"] {
            #expect(try errors(#"{"i":\#(text)}"#) { _ = $0.integer("i", in: 1...200) } == [], "\(text)")
        }
        for text in ["0", "201", "1.5", "1e99"] {
            let found = try errors(#"{"i":\#(text)}"#) { _ = $0.integer("i", in: 1...200) }
            #expect(found == ["i: must be a whole number from 1 to 200"], "\(text)")
        }
    }

    @Test("what is of another type, null or missing is told its rule")
    func rules() throws {
        let found = try errors(#"{"s":1,"b":"true","i":"1","sn":null,"bn":null,"in":null,"l":[],"o":{}}"#) { members in
            _ = members.string("s")
            _ = members.boolean("b")
            _ = members.integer("i", in: 0...9)
            _ = members.string("sn")
            _ = members.boolean("bn", isRequired: true)
            _ = members.integer("in", in: 0...9)
            _ = members.string("l")
            _ = members.boolean("o")
            _ = members.string("gone")
            _ = members.string("s.gone", isRequired: true)
            _ = members.boolean("b.gone", isRequired: true)
            _ = members.integer("i.gone", in: 0...9, isRequired: true)
        }
        #expect(
            found == [
                "s: must be a string", "b: must be true or false", "i: must be a whole number from 0 to 9",
                "sn: must not be null", "bn: must not be null", "in: must not be null", "l: must be a string",
                "o: must be true or false", "s.gone: is required", "b.gone: is required", "i.gone: is required",
            ]
        )
    }

    @Test("of one member the first rule that it breaks is told")
    func firstRule() throws {
        let found = try errors(#"{"a":1,"b":2}"#) { members in
            _ = members.string("a")
            members.refuse("a", "must be short")
            members.refuse("b", "must be odd")
        }
        #expect(found == ["a: must be a string", "b: must be odd"], "b was refused, and is no unknown member twice")
    }

    @Test(
        "a member's name has a limit: to hash one takes the square of its length",
        arguments: [#"e\u0301"#, "e\u{301}"]
    )
    func longNames(text: String) throws {
        let half = String(repeating: text, count: 128 / text.utf8.count)
        for json in ["{\"\(half)\":1}", #"{"a":{"\#(half)":"\#(half + half + half)"}}"#] {
            _ = try JSONMembers(Array(json.utf8))
        }
        let long = String(repeating: text, count: 256 / text.utf8.count + 1)
        for json in ["{\"\(long)\":1}", #"[{"a":{"\#(long)":0}}]"#] {
            let problem = #expect(throws: Problem.self) { try JSONMembers(Array(json.utf8)) }
            #expect(problem?.code == .malformedJSON && problem?.detail.contains("more than 256 bytes") == true)
        }
    }

    @Test("members that nobody has asked for are refused by name, so many of them, and so much of each")
    func unknown() throws {
        #expect(
            try errors(#"{"z":1,"a":{"b":2},"s":"x"}"#) { _ = $0.string("s") } == [
                "a: is not a member of this request", "z: is not a member of this request",
            ]
        )
        #expect(try errors(#"{"n":null}"#) { _ in } == ["n: is not a member of this request"])
        let many = (10..<40).map { #""k\#($0)":0"# }.joined(separator: ",")
        let found = try errors("{\(many),\"s\":7}") { _ = $0.string("s") }
        #expect(found.count == 21 && found[0] == "s: must be a string")
        #expect(found.last == "k29: is not a member of this request")
        let long = String(repeating: "é", count: 65)
        #expect(
            try errors("{\"\(long)\":1}") { _ in } == ["\(long.dropLast()): is not a member of this request"]
        )
        // Two that are told by the same words are told once.
        #expect(try errors("{\"\(long)a\":1,\"\(long)b\":1}") { _ in }.count == 1)
    }

    @Test("a body that is no object, or no JSON", arguments: ["[]", "7", "\"a\"", "null", "true", "1.5"])
    func noObject(body: String) throws {
        #expect(throws: Problem.invalidField("body", "must be an object")) { _ = try members(body) }
    }

    @Test("a body that is no JSON is 400", arguments: ["", "{", #"{"a":1,}"#, #"{"a" 1}"#, "{}{}", "nul"])
    func noJSON(body: String) {
        do {
            _ = try members(body)
            Issue.record("was taken")
        } catch {
            let problem = (error as? any ProblemConvertible)?.problem
            #expect(problem?.status == 400 && problem?.code == .malformedJSON)
        }
    }

    @Test("the request's media type and length are looked at first")
    func request() async throws {
        let json: Headers = ["Content-Type": "application/json"]
        var members = try await Fixtures.request(.patch, "/", json, body: #"{"a":"b"}"#).jsonMembers(upTo: 9)
        let value = members.string("a")
        #expect(value == "b")
        for (headers, bytesMax, status) in [(json, 8, 413), (Headers(), 9, 415)] {
            do {
                _ = try await Fixtures.request(.patch, "/", headers, body: #"{"a":"b"}"#).jsonMembers(upTo: bytesMax)
                Issue.record("was taken")
            } catch {
                #expect((error as? any ProblemConvertible)?.problem.status == status)
            }
        }
    }

    @Test("the answer names each member by a JSON pointer; without any there is no list")
    func answer() throws {
        let problem = Problem.invalidFields([
            .init("user_name", "must be \"short\""), .init("devices[1].name", "is required"),
            .init("body", "must be an object"), .init("a/b~1", "is no member"),
        ])
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(Fixtures.text(Response(problem)).utf8)) as? [String: Any]
        )
        #expect(document["code"] as? String == "invalid_field" && document["status"] as? Int == 422)
        #expect(
            document["errors"] as? [[String: String]] == [
                ["detail": "must be \"short\"", "pointer": "#/user_name"],
                ["detail": "is required", "pointer": "#/devices/1/name"],
                ["detail": "must be an object", "pointer": "#"],
                ["detail": "is no member", "pointer": "#/a~1b~01"],
            ]
        )
        #expect(!Fixtures.text(Response(Problem.forbidden("no"))).contains("errors"))
    }
}

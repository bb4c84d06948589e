import Core
import ServiceKit
import Testing

@testable import GatewayService

@Suite("Users' types: kept until their account changes")
struct UserDirectoryTests {
    private let directory: UserDirectory
    private let agent = Identity(userID: "a1", userName: "A", userType: .agent)

    init() throws {
        let process = try ServiceProcess("gateway", settings: Settings.development([:]))
        directory = UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL))
    }

    @Test("a change forgets the user and nobody else; a reset forgets all")
    func forgotten() {
        for user in ["u1", "u2"] { directory.learn(user, .customer, since: directory.mark) }
        directory.forget("u1")
        #expect(directory.cached("u1", for: agent) == nil)
        #expect(directory.cached("u2", for: agent) == .customer)
        directory.learn("u1", .agent, since: directory.mark)
        #expect(directory.cached("u1", for: agent) == .agent)
        directory.forgetAll()
        #expect(directory.cached("u1", for: agent) == nil && directory.cached("u2", for: agent) == nil)
    }

    @Test("to a customer no other customer is known, to an agent everybody is")
    func isolation() {
        let customer = Identity(userID: "u1", userName: "U", userType: .customer)
        directory.learn("u2", .customer, since: directory.mark)
        directory.learn("a2", .agent, since: directory.mark)
        #expect(directory.cached("u2", for: customer) == nil && directory.cached("u2", for: agent) == .customer)
        #expect(directory.cached("a2", for: customer) == .agent && directory.cached("a2", for: agent) == .agent)
    }

    @Test("an answer to what was asked before a change is not kept after it")
    func overtaken() {
        let before = directory.mark
        directory.forget("u1")
        directory.learn("u1", .customer, since: before)
        directory.learn("u2", .customer, since: before)
        #expect(directory.cached("u1", for: agent) == nil)
        #expect(directory.cached("u2", for: agent) == .customer)
        directory.forgetAll()
        directory.learn("u2", .customer, since: before)
        #expect(directory.cached("u2", for: agent) == nil)
    }
}

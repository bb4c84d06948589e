import Core
import Testing

@testable import GatewayService

@Suite("Names of conversations, and who reads them")
struct ConversationNameTests {
    private func identity(_ user: String, _ type: UserType) -> Identity {
        Identity(userID: user, userName: user, userType: type)
    }

    @Test("two agents have one conversation, whoever writes first")
    func agents() {
        #expect(ConversationName.ofAgents("b", "a") == "d:a:b")
        #expect(ConversationName.ofAgents("a", "b") == "d:a:b")
        #expect(ConversationName.ofCustomer("x") == "c:x")
    }

    @Test("a customer reads their own only, an agent any customer's and their own with agents")
    func readable() {
        let customer = identity("u1", .customer)
        let agent = identity("a1", .agent)
        #expect(ConversationName.isReadable("c:u1", by: customer))
        for name in ["c:u2", "c:u", "c:u11", "d:a1:u1", "d:u1:u1", "", "c:", "u1", "x:u1"] {
            #expect(!ConversationName.isReadable(name, by: customer), "\(name)")
        }
        for name in ["c:u1", "c:u2", "d:a1:b", "d:a:a1"] {
            #expect(ConversationName.isReadable(name, by: agent), "\(name)")
        }
        let others = [
            "d:a:b", "d:a11:b", "a1", "", "x:a1:b", "c:", "c:u1:", "c:u1:a1", "d:a1", "d:b:a1", "d:a1:a1", "d:a1:b:c",
        ]
        for name in others + ["c:x\"y", "c:x y", "c:..", "c:é", "C:u1", "c:u1\n", ":", "::"] {
            #expect(!ConversationName.isReadable(name, by: agent), "\(name)")
        }
    }
}

import Core
import Testing

@testable import AuthService

@Suite("Changes of accounts")
struct AccountChangeTests {
    private func account(_ userID: String, _ userType: UserType) -> Account {
        Account(
            userID: userID,
            userName: userID,
            userType: userType,
            isAdmin: userType == .agent,
            capacity: userType == .agent ? 5 : nil,
            createdAt: Timestamp(milliseconds: 1_760_000_000_000)
        )
    }

    @Test("an agent who becomes a customer loses what only agents have, and gets it back by name only")
    func demoted() throws {
        let agent = account("a", .agent)
        let customer = try AccountChange(userType: .customer).applied(to: agent)
        #expect(customer.userType == .customer && !customer.isAdmin && customer.capacity == nil)
        #expect(customer.differences(from: agent) == ["user_type", "is_admin", "capacity"])
        let again = try AccountChange(userType: .agent, capacity: 7).applied(to: customer)
        #expect(again.userType == .agent && !again.isAdmin && again.capacity == 7)
    }

    @Test("a customer is given nothing that only agents have; taking it away is no error")
    func agentsOnly() throws {
        let customer = account("c", .customer)
        #expect(throws: AuthError.invalidField("is_admin", rule: Account.agentsOnlyRule)) {
            _ = try AccountChange(isAdmin: true).applied(to: customer)
        }
        #expect(throws: AuthError.invalidField("capacity", rule: Account.agentsOnlyRule)) {
            _ = try AccountChange(capacity: 7).applied(to: customer)
        }
        #expect(try AccountChange(isAdmin: false, capacity: .some(nil)).applied(to: customer) == customer)
        #expect(throws: AuthError.self) {
            _ = try AccountChange(userType: .customer, isAdmin: true).applied(to: account("a", .agent))
        }
    }

    @Test("a guest stays a customer")
    func guest() throws {
        let guest = account(Account.guestPrefix + "1", .customer)
        #expect(throws: AuthError.invalidField("user_type", rule: "must stay Kehu for a guest")) {
            _ = try AccountChange(userType: .agent).applied(to: guest)
        }
        #expect(try AccountChange(userName: "Ann").applied(to: guest).userName == "Ann")
    }

    @Test("sessions end with another role and with a disabling, and with nothing else")
    func endsSessions() throws {
        let agent = account("a", .agent)
        let changes: [(AccountChange, Bool)] = [
            (AccountChange(userType: .customer), true), (AccountChange(isAdmin: false), true),
            (AccountChange(isDisabled: true), true), (AccountChange(userName: "B"), false),
            (AccountChange(capacity: 9), false), (AccountChange(isDisabled: false), false),
        ]
        for (change, ends) in changes {
            #expect(try change.applied(to: agent).endsSessions(of: agent) == ends, "\(change)")
        }
        let disabled = try AccountChange(isDisabled: true).applied(to: agent)
        #expect(try !AccountChange(isDisabled: false).applied(to: disabled).endsSessions(of: disabled))
        #expect(!disabled.endsSessions(of: disabled))
    }
}

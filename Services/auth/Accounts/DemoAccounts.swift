import Core
import Crypto

/// The accounts that the guide's samples log in with; for `make run` only.
struct DemoAccounts {
    /// One of them.
    struct Demo: Sendable {
        let userID: String
        let userName: String
        let userType: UserType
        var isAdmin = false
        /// Published, so of no worth to anybody else.
        let password: String
    }

    static let all = [
        Demo(userID: "user123", userName: "张三", userType: .customer, password: "password123"),
        Demo(userID: "support001", userName: "客服001", userType: .agent, isAdmin: true, password: "password123"),
        Demo(userID: "test", userName: "test", userType: .customer, password: "test"),
        Demo(userID: "test_user", userName: "test_user", userType: .customer, password: "password"),
    ]

    let store: any AuthStore
    let hasher: PasswordHasher

    /// Makes the accounts, or gives those there are their password back, ending the sessions made under another.
    ///
    /// - Parameter random: Fresh passwords, for a machine that others can reach.
    /// - Returns: Each account with its password now.
    func create(random: Bool, now: Timestamp) async throws -> [(demo: Demo, password: String)] {
        var result: [(Demo, String)] = []
        for demo in Self.all {
            let password = random ? SecureRandom.token(bytes: 12) : demo.password
            try await create(demo, password, now)
            result.append((demo, password))
        }
        return result
    }

    private func create(_ demo: Demo, _ password: String, _ now: Timestamp) async throws {
        if let account = try await store.account(demo.userID) {
            guard try await !hasher.verify(password, stored: account.passwordHash) else { return }
            _ = try await store.setPassword(
                demo.userID,
                hash: try await hasher.hash(password),
                revision: nil,
                sparing: nil,
                audit: AuditEntry(.passwordReset, by: .command, at: now, userID: demo.userID)
            )
            return
        }
        let account = Account(
            userID: demo.userID,
            userName: demo.userName,
            userType: demo.userType,
            isAdmin: demo.isAdmin,
            createdAt: now,
            passwordHash: try await hasher.hash(password)
        )
        let entry = AuditEntry(.userCreated, by: .command, at: now, userID: demo.userID)
        try await store.createAccounts([account], audit: [entry])
    }
}

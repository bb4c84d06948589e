import Core

/// What a change sets of an account; a member that is `nil` stays.
struct AccountChange: Sendable, Equatable {
    var userName: String?
    var userType: UserType?
    var isAdmin: Bool?
    var isDisabled: Bool?
    /// `.some(nil)`: the stack's default again.
    var capacity: Int??

    /// Whether it disables, or takes administration away: that is done also in a store that has no room.
    var takesRights: Bool { isDisabled == true || isAdmin == false }

    /// The account as the change makes it.
    ///
    /// Who becomes a customer loses what only agents have.
    ///
    /// - Throws: `AuthError.invalidField` when a customer is given what only agents have, or a guest is to be an agent.
    func applied(to account: Account) throws(AuthError) -> Account {
        var changed = account
        if let userName { changed.userName = userName }
        if let userType { changed.userType = userType }
        if let isDisabled { changed.isDisabled = isDisabled }
        if changed.userType == .customer {
            changed.isAdmin = false
            changed.capacity = nil
        }
        if let isAdmin { changed.isAdmin = isAdmin }
        if let capacity { changed.capacity = capacity }
        if changed.userType == .customer {
            if changed.isAdmin { throw .invalidField("is_admin", rule: Account.agentsOnlyRule) }
            if changed.capacity != nil { throw .invalidField("capacity", rule: Account.agentsOnlyRule) }
        } else if account.isGuest {
            throw .invalidField("user_type", rule: "must stay Kehu for a guest")
        }
        return changed
    }
}

extension Account {
    static let agentsOnlyRule = "goes with user_type Kefu only"

    /// Whether it was made for a visitor who did not log in.
    var isGuest: Bool { userID.hasPrefix(Self.guestPrefix) }

    /// The wire names of the members in which two states of an account differ.
    func differences(from other: Account) -> [String] {
        var names: [String] = []
        if userName != other.userName { names.append("user_name") }
        if userType != other.userType { names.append("user_type") }
        if isAdmin != other.isAdmin { names.append("is_admin") }
        if isDisabled != other.isDisabled { names.append("disabled") }
        if capacity != other.capacity { names.append("capacity") }
        return names
    }

    /// Whether all sessions end when an account changes from `other` to this: it may log in no longer, or as somebody
    /// with other rights.
    func endsSessions(of other: Account) -> Bool {
        userType != other.userType || isAdmin != other.isAdmin || (isDisabled && !other.isDisabled)
    }
}

/// Which accounts are listed; a member that is `nil` leaves all in.
struct AccountFilter: Sendable, Equatable {
    var userType: UserType?
    var isAdmin: Bool?
    var isDisabled: Bool?
}

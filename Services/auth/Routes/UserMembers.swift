import Core
import HTTP
import ServiceKit

/// The members of accounts in requests' bodies.
extension JSONMembers {
    /// A display name, normalised.
    mutating func userName(_ name: String) -> String? {
        guard let text = string(name) else { return nil }
        guard let normalized = Account.normalizedName(text) else {
            refuse(name, Account.userNameRule)
            return nil
        }
        return normalized
    }

    /// A user type, synonyms included.
    mutating func userType(_ name: String, isRequired: Bool = false) -> UserType? {
        guard let text = string(name, isRequired: isRequired) else { return nil }
        let userType = UserType(wire: text)
        if userType == nil { refuse(name, "must be Kehu or Kefu") }
        return userType
    }

    /// `capacity`: `.some(nil)` for `null`, the stack's default.
    mutating func capacity() -> Int?? {
        if isNull("capacity") { return .some(nil) }
        return integer("capacity", in: Account.capacityRange).map { .some($0) }
    }
}

/// The query values of auth's routes; a bad one is 400 and named.
extension Query {
    func userType() throws(Problem) -> UserType? {
        guard let text = self["user_type"] else { return nil }
        guard let userType = UserType(wire: text) else { throw .badRequest("user_type: must be Kehu or Kefu") }
        return userType
    }

    func boolean(_ name: String) throws(Problem) -> Bool? {
        switch self[name] {
        case nil: return nil
        case "true", "1": return true
        case "false", "0": return false
        default: throw .badRequest("\(name): must be true or false")
        }
    }

    /// A user's id, such as a `next_cursor` of users.
    func userID(_ name: String) throws(Problem) -> String? {
        guard let text = self[name] else { return nil }
        guard Identifier.isUserID(text) else { throw .badRequest("\(name): must be a user's id") }
        return text
    }

    /// A time (RFC 3339).
    func time(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamp(wire: text) else {
            throw .badRequest("\(name): must be a time such as 2026-01-21T10:00:00Z")
        }
        return time
    }
}

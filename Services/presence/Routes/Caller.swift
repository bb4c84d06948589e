import Core
import ServiceKit

/// Who asks, as their session says.
struct Caller: Sendable, Equatable {
    let userID: String
    let userName: String
    let userType: UserType
}

extension Caller {
    init(_ session: Session) {
        self.init(userID: session.userID, userName: session.userName, userType: session.userType)
    }
}

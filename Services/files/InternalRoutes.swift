import Contracts
import Core
import HTTP
import ServiceKit

/// `POST /internal/files/{file_id}/grants`: a message that carries the file goes to `user_ids`.
///
/// The gateway asks before it appends the message, so that a delivered message never names a file that answers 404.
struct InternalRoutes: RouteGroup {
    /// The most users in one request; a conversation has few members.
    static let userIDsMax = 100
    /// The largest request, in bytes.
    static let bodyBytesMax = 16_384

    private let files: FileStore

    init(_ files: FileStore) { self.files = files }

    func register(in router: inout Router) {
        router.add(.post, "/internal/files/{file_id}/grants") { request in
            let grant = try await request.json(FileGrantRequest.self, upTo: Self.bodyBytesMax)
            guard (0...Self.userIDsMax).contains(grant.userIDs.count) else {
                throw FilesError.invalidField(name: "user_ids", rule: "at most \(Self.userIDsMax)")
            }
            guard grant.userIDs.allSatisfy(Identifier.isUserID), Identifier.isUserID(grant.sender) else {
                throw FilesError.invalidField(name: "user_ids", rule: "each must be a user id")
            }
            let sender = Caller(userID: grant.sender, userType: grant.senderType ?? .customer, isAdmin: false)
            let id = request.parameters["file_id"] ?? ""
            return try Response.json(try await files.grant(id, to: grant.userIDs, by: sender).document)
        }
    }
}

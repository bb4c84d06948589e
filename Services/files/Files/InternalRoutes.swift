import Contracts
import Core
import HTTP
import ServiceKit

/// `POST /internal/files/{file_id}/grants`: a message that carries the file goes to `user_ids`; `…/revoke`: it was
/// recalled.
///
/// The gateway asks for a grant before it appends the message, so that a delivered message never names a file that
/// answers 404.
struct InternalRoutes: RouteGroup {
    /// The most users in one request; a conversation has few members.
    static let userIDsMax = 100
    /// The longest name of a source, in bytes.
    static let sourceBytesMax = 400
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
            if let source = grant.source { try Self.check(source) }
            let sender = Caller(userID: grant.sender, userType: grant.senderType ?? .customer, isAdmin: false)
            let id = request.parameters["file_id"] ?? ""
            let record = try await files.grant(id, to: grant.userIDs, source: grant.source ?? "", by: sender)
            return try Response.json(record.document)
        }
        router.add(.post, "/internal/files/{file_id}/grants/revoke") { request in
            let revocation = try await request.json(FileGrantRevocation.self, upTo: Self.bodyBytesMax)
            try Self.check(revocation.source)
            try await files.revoke(request.parameters["file_id"] ?? "", source: revocation.source)
            return Response(.noContent)
        }
    }

    /// The empty source is that of grants for good, which nothing takes back.
    private static func check(_ source: String) throws(FilesError) {
        guard (1...sourceBytesMax).contains(source.utf8.count) else {
            throw .invalidField(name: "source", rule: "must have 1 to \(sourceBytesMax) bytes")
        }
    }
}

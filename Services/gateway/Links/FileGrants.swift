import Contracts
import Core
import HTTP
import ServiceKit

/// Lets the recipient of a message read the file that it carries.
struct FileGrants: Sendable {
    let files: InternalClient

    /// Grants the file and gives the `file` member of the message.
    ///
    /// - Returns: `{"file_id","url","file_name","file_type","size"}`.
    /// - Throws: `FrameProblem` `file_not_found` when the sender may not read such a file, `unavailable`.
    func grant(_ fileID: String, sender: Identity, to recipient: String) async throws(FrameProblem) -> String {
        let request = FileGrantRequest(sender: sender.userID, senderType: sender.userType, userIDs: [recipient])
        do {
            let path = "/internal/files/\(fileID)/grants"
            let document = try await files.call(.post, path, request, as: FileDocument.self)
            return Self.member(document)
        } catch let error where error.refusedStatus == 404 {
            throw FrameProblem(code: .fileNotFound, message: "file_id: no such file")
        } catch {
            throw FrameProblem(code: .unavailable, message: "file_id: cannot be looked up now; try again")
        }
    }

    private static func member(_ document: FileDocument) -> String {
        #"{"file_id":\#(JSONText.quoted(document.fileID)),"url":\#(JSONText.quoted(document.url)),"#
            + #""file_name":\#(JSONText.quoted(document.fileName)),"file_type":"\#(document.fileType.rawValue)","#
            + #""size":\#(document.size)}"#
    }
}

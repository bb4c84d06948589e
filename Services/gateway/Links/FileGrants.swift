import Contracts
import Core
import HTTP
import ServiceKit

/// Lets the recipient of a message read the file that it carries.
struct FileGrants: Sendable {
    let files: InternalClient

    /// Grants the file and gives the `file` member of the message.
    ///
    /// - Parameters:
    ///   - granted: The file, and the source under which it is granted.
    ///   - sender: Whose message carries it.
    ///   - readers: The customers who get it; agents may read every file.
    /// - Returns: `{"file_id","url","file_name","file_type","size"}`, of an image `"width","height"` too where known.
    /// - Throws: `FrameProblem` `file_not_found` when the sender may not read such a file, `unavailable`.
    func grant(
        _ granted: GrantedFile,
        sender: Identity,
        to readers: [String]
    ) async throws(FrameProblem) -> String {
        let request = FileGrantRequest(
            sender: sender.userID,
            senderType: sender.userType,
            userIDs: readers,
            source: granted.source
        )
        do {
            let path = "/internal/files/\(granted.fileID)/grants"
            let document = try await files.call(.post, path, request, as: FileDocument.self)
            return Self.member(document)
        } catch let error where error.refusedStatus == 404 {
            throw FrameProblem(code: .fileNotFound, message: "file_id: no such file")
        } catch {
            throw FrameProblem(code: .unavailable, message: "file_id: cannot be looked up now; try again")
        }
    }

    /// Takes back what was granted for a message that was recalled.
    ///
    /// - Throws: `InternalCallError`.
    func revoke(_ granted: GrantedFile) async throws(InternalCallError) {
        let path = "/internal/files/\(granted.fileID)/grants/revoke"
        let request = FileGrantRevocation(source: granted.source)
        _ = try await files.call(.post, path, request, as: InternalClient.NoAnswer.self)
    }

    private static func member(_ document: FileDocument) -> String {
        var member =
            #"{"file_id":\#(JSONText.quoted(document.fileID)),"url":\#(JSONText.quoted(document.url)),"#
            + #""file_name":\#(JSONText.quoted(document.fileName)),"file_type":"\#(document.fileType.rawValue)","#
            + #""size":\#(document.size)"#
        // A client lays the image out before it has loaded.
        if let width = document.width, let height = document.height {
            member += #","width":\#(width),"height":\#(height)"#
        }
        return member + "}"
    }
}

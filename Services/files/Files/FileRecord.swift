import Contracts
import Core
import Crypto

/// What is known of a stored file.
struct FileRecord: Sendable, Equatable {
    /// 22 characters of base64url: 128 bits that nobody guesses.
    var id: String
    /// The content's SHA-256 in lower-case hex; names the blob.
    var sha256: String
    /// Bytes.
    var size: Int
    var fileName: String
    /// A media type without parameters.
    var contentType: String
    var uploaderID: String
    var createdAt: Timestamp
    /// Of an image, where they are known.
    var dimensions: ImageDimensions?

    /// A fresh id.
    static func makeID() -> String { SecureRandom.token(bytes: 16) }

    /// Whether `text` could be an id; spares the index a look-up.
    static func isID(_ text: String) -> Bool {
        text.utf8.count == 22
            && text.utf8.allSatisfy { byte in
                byte != UInt8(ascii: ".") && Identifier.isNameByte(byte)
            }
    }

    /// How a chat shows it.
    var fileType: FileType { FileType(contentType: contentType) }

    /// The file as everyone sees it.
    var document: FileDocument {
        FileDocument(
            fileID: id,
            url: "/files/\(id)",
            fileType: fileType,
            fileName: fileName,
            contentType: contentType,
            size: size,
            sha256: sha256,
            width: dimensions?.width,
            height: dimensions?.height
        )
    }
}

/// A file as everyone sees it: the answer of an upload, of its metadata and of a grant.
///
/// ```json
/// {"file_id":"f-9aK","url":"/files/f-9aK","file_type":"Image","file_name":"image.jpg",
///  "content_type":"image/jpeg","size":1234,"sha256":"e3b0c442…"}
/// ```
package struct FileDocument: Codable, Sendable, Equatable {
    package var fileID: String
    /// `/files/{file_id}`.
    package var url: String
    package var fileType: FileType
    package var fileName: String
    package var contentType: String
    /// Bytes.
    package var size: Int
    /// Lower-case hex.
    package var sha256: String

    package init(
        fileID: String,
        url: String,
        fileType: FileType,
        fileName: String,
        contentType: String,
        size: Int,
        sha256: String
    ) {
        self.fileID = fileID
        self.url = url
        self.fileType = fileType
        self.fileName = fileName
        self.contentType = contentType
        self.size = size
        self.sha256 = sha256
    }

    private enum CodingKeys: String, CodingKey {
        case fileID = "file_id"
        case url
        case fileType = "file_type"
        case fileName = "file_name"
        case contentType = "content_type"
        case size
        case sha256
    }
}

/// What kind of file it is, from its content.
package enum FileType: String, Codable, Sendable, CaseIterable {
    case image = "Image"
    case video = "Video"
    case voice = "Voice"
    case file = "File"
}

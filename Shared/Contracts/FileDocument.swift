/// A file as everyone sees it: the answer of an upload, of its metadata and of a grant.
///
/// ```json
/// {"file_id":"f-9aK","url":"/files/f-9aK","file_type":"Image","file_name":"image.jpg",
///  "content_type":"image/jpeg","size":1234,"sha256":"e3b0c442…","width":640,"height":480}
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
    /// Of an image as it is to be shown, in pixels; left out where it is not known.
    package var width: Int?
    package var height: Int?

    package init(
        fileID: String,
        url: String,
        fileType: FileType,
        fileName: String,
        contentType: String,
        size: Int,
        sha256: String,
        width: Int? = nil,
        height: Int? = nil
    ) {
        self.fileID = fileID
        self.url = url
        self.fileType = fileType
        self.fileName = fileName
        self.contentType = contentType
        self.size = size
        self.sha256 = sha256
        self.width = width
        self.height = height
    }

    private enum CodingKeys: String, CodingKey {
        case fileID = "file_id"
        case url
        case fileType = "file_type"
        case fileName = "file_name"
        case contentType = "content_type"
        case size
        case sha256
        case width
        case height
    }
}

/// What kind of file it is, from its content.
package enum FileType: String, Codable, Sendable, CaseIterable {
    case image = "Image"
    case video = "Video"
    case voice = "Voice"
    case file = "File"
}

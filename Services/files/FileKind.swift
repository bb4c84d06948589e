/// How a chat shows a file; `file_type` on the wire.
enum FileKind: String, Sendable, Codable, CaseIterable {
    case image = "Image"
    case video = "Video"
    case voice = "Voice"
    case file = "File"

    /// The kind of a content type's files. An SVG is a document that can hold scripts, so it is not shown as an image.
    init(contentType: String) {
        switch contentType.prefix(while: { $0 != "/" }) {
        case "image": self = contentType == "image/svg+xml" ? .file : .image
        case "video": self = .video
        case "audio": self = .voice
        default: self = .file
        }
    }

    /// Whether a browser may show the file in place. Everything else, PDF and text included, is offered for saving: it
    /// is not for one user's file to run anything in another user's browser.
    var isShownInline: Bool { self != .file }
}

import Contracts

extension FileType {
    /// How a chat shows files of a content type.
    ///
    /// An SVG is a document that can hold scripts, so it is no image here.
    init(contentType: String) {
        switch contentType.prefix(while: { $0 != "/" }) {
        case "image": self = contentType == "image/svg+xml" ? .file : .image
        case "video": self = .video
        case "audio": self = .voice
        default: self = .file
        }
    }

    /// Whether a browser may show the file in place.
    ///
    /// Everything else, PDF and text included, is offered for saving: it is not for one user's file to run anything in
    /// another user's browser.
    var isShownInline: Bool { self != .file }
}

package import Contracts

/// What may be uploaded, as files enforces it and the gateway announces it.
package struct UploadLimits: Sendable, Equatable {
    /// The largest file, whatever it is and however it is sent, in bytes.
    package var fileBytesMax: Int
    /// The largest file sent as base64, in decoded bytes.
    package var base64BytesMax: Int
    /// The largest image, in bytes.
    package var imageBytesMax: Int
    /// The largest video, in bytes.
    package var videoBytesMax: Int
    /// The largest sound file, in bytes.
    package var voiceBytesMax: Int
    /// What a user's files hold together, in bytes; a blob counts for each file that has it.
    package var userBytesMax: Int
    /// A user's files.
    package var userFilesMax: Int
    /// A user's uploads at once.
    package var uploadsPerUserMax: Int
    /// A user's unfinished uploads by tus, whether bytes arrive or not.
    package var tusUploadsPerUserMax: Int
    /// How long an upload by tus waits for its next bytes.
    package var uploadExpiry: Duration

    package init(_ settings: Settings) {
        let fileBytesMax = settings[SettingsCatalogue.filesFileBytesMax]
        self.fileBytesMax = fileBytesMax
        base64BytesMax = min(settings[SettingsCatalogue.filesBase64BytesMax], fileBytesMax)
        imageBytesMax = min(settings[SettingsCatalogue.filesImageBytesMax], fileBytesMax)
        videoBytesMax = min(settings[SettingsCatalogue.filesVideoBytesMax], fileBytesMax)
        voiceBytesMax = min(settings[SettingsCatalogue.filesVoiceBytesMax], fileBytesMax)
        userBytesMax = settings[SettingsCatalogue.filesUserBytesMax]
        userFilesMax = settings[SettingsCatalogue.filesUserFilesMax]
        uploadsPerUserMax = settings[SettingsCatalogue.filesUploadsPerUserMax]
        tusUploadsPerUserMax = settings[SettingsCatalogue.filesTusUploadsPerUserMax]
        uploadExpiry = settings[SettingsCatalogue.filesUploadExpiry]
    }

    /// The largest file of a type, in bytes.
    package func bytesMax(of type: FileType) -> Int {
        switch type {
        case .image: imageBytesMax
        case .video: videoBytesMax
        case .voice: voiceBytesMax
        case .file: fileBytesMax
        }
    }
}

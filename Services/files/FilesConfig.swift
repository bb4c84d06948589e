import ServiceKit

/// What the file service takes from the settings.
struct FilesConfig: Sendable {
    /// The directory of the blobs.
    let directory: String
    /// The metadata's SQLite file.
    let databasePath: String
    let diskThreads: Int
    let limits: UploadRoutes.Limits
    let partialLimits: PartialUploads.Limits
    let uploadsPerUserMax: Int
    let uploadsMax: Int

    init(_ settings: Settings) {
        let dataDirectory = settings[SettingsCatalogue.dataDirectory]
        // With Redis as the store the metadata stay beside the blobs: the process that owns the one owns the other.
        switch settings[SettingsCatalogue.store] {
        case .sqlite(let storeDirectory): databasePath = storeDirectory + "/files.sqlite"
        case .redis: databasePath = dataDirectory + "/files.sqlite"
        }
        directory =
            settings.isGiven(SettingsCatalogue.filesDirectory)
            ? settings[SettingsCatalogue.filesDirectory] : dataDirectory + "/files"
        diskThreads = settings[SettingsCatalogue.filesDiskThreads]
        limits = UploadRoutes.Limits(base64BytesMax: settings[SettingsCatalogue.filesBase64BytesMax])
        partialLimits = PartialUploads.Limits(
            fileBytesMax: settings[SettingsCatalogue.filesFileBytesMax],
            countPerUserMax: settings[SettingsCatalogue.filesTusUploadsPerUserMax],
            expiry: settings[SettingsCatalogue.filesUploadExpiry]
        )
        uploadsPerUserMax = settings[SettingsCatalogue.filesUploadsPerUserMax]
        uploadsMax = settings[SettingsCatalogue.filesUploadsMax]
    }

    /// The largest request body that any route reads, in bytes.
    var bodyBytesMax: Int {
        max(
            UploadDocumentDecoder.documentBytesMax(fileBytesMax: limits.base64BytesMax),
            partialLimits.fileBytesMax
        )
    }
}

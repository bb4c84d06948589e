import ServiceKit

/// What the file service takes from the settings.
struct FilesConfig: Sendable {
    /// The directory of the blobs.
    let directory: String
    /// The metadata's SQLite file.
    let databasePath: String
    let diskThreads: Int
    let limits: UploadRoutes.Limits
    let uploadsPerUserMax: Int
    let uploadsMax: Int

    /// - Throws: `Unsupported` for a store that this service does not have.
    init(_ settings: Settings) throws {
        guard case .sqlite(let storeDirectory) = settings[SettingsCatalogue.store] else { throw Unsupported() }
        databasePath = storeDirectory + "/files.sqlite"
        directory =
            settings.isGiven(SettingsCatalogue.filesDirectory)
            ? settings[SettingsCatalogue.filesDirectory] : settings[SettingsCatalogue.dataDirectory] + "/files"
        diskThreads = settings[SettingsCatalogue.filesDiskThreads]
        limits = UploadRoutes.Limits(base64BytesMax: settings[SettingsCatalogue.filesBase64BytesMax])
        uploadsPerUserMax = settings[SettingsCatalogue.filesUploadsPerUserMax]
        uploadsMax = settings[SettingsCatalogue.filesUploadsMax]
    }

    /// A store that this service cannot keep its metadata in.
    struct Unsupported: Error, CustomStringConvertible {
        let description = "store: files keeps its metadata in SQLite only; set sqlite:DIR"
    }
}

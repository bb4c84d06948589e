import ServiceKit

/// What the file service takes from the settings.
struct FilesConfig: Sendable {
    /// How long a body may stand still.
    ///
    /// Longer than the edge lets it (`client_body_timeout`): the edge closes the connection without an answer, and
    /// clients of tus go on then. Our 408 would be the end of the upload to them.
    static let bodyIdleTimeout = Duration.seconds(40)

    /// The directory of the blobs.
    let directory: String
    /// Whether other instances have the directory too.
    let sharing: BlobStore.Sharing
    let diskThreads: Int
    let freeBytesMin: Int
    let limits: UploadLimits
    let uploadsPerNetworkMax: Int
    let uploadsMax: Int
    /// What signs URLs; `nil`: the key in the directory of the blobs.
    let urlSecret: String?
    let urlLifetimeSeconds: Int64

    init(_ settings: Settings) {
        let dataDirectory = settings[SettingsCatalogue.dataDirectory]
        switch settings[SettingsCatalogue.store] {
        case .sqlite: sharing = .exclusive
        case .redis: sharing = .instances
        }
        directory =
            settings.isGiven(SettingsCatalogue.filesDirectory)
            ? settings[SettingsCatalogue.filesDirectory] : dataDirectory + "/files"
        diskThreads = settings[SettingsCatalogue.filesDiskThreads]
        freeBytesMin = settings[SettingsCatalogue.filesFreeBytesMin]
        limits = UploadLimits(settings)
        uploadsPerNetworkMax = settings[SettingsCatalogue.filesUploadsPerNetworkMax]
        uploadsMax = settings[SettingsCatalogue.filesUploadsMax]
        urlSecret = settings[SettingsCatalogue.filesURLSecret]
        urlLifetimeSeconds = settings[SettingsCatalogue.filesURLLifetime].components.seconds
    }

    /// The uploads that go on at once.
    func makeUploadSlots() -> UploadSlots {
        UploadSlots(
            perUserMax: limits.uploadsPerUserMax,
            perNetworkMax: uploadsPerNetworkMax,
            totalMax: uploadsMax
        )
    }

    /// What signs URLs: the secret, or the key in the directory of the blobs, made when it is missing.
    ///
    /// - Throws: `FilesError`.
    func loadURLKey() throws -> [UInt8] {
        try urlSecret.map { Array($0.utf8) } ?? SigningKey.load(directory + "/url.key", in: directory)
    }
}

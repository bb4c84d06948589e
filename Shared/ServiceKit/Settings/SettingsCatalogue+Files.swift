/// The settings of the files service.
extension SettingsCatalogue {
    static let files: [any SettingDeclaration] = [
        filesListen, filesURL, filesDirectory, filesBase64BytesMax, filesFileBytesMax, filesImageBytesMax,
        filesVideoBytesMax, filesVoiceBytesMax, filesUserBytesMax, filesUserFilesMax, filesUploadsPerUserMax,
        filesUploadsPerNetworkMax, filesUploadsMax, filesTusUploadsPerUserMax, filesUploadExpiry, filesFreeBytesMin,
        filesDiskThreads, filesURLSecret, filesURLLifetime,
    ]

    package static let filesListen = Setting.address(
        "files.listen",
        default: HostPort(host: "127.0.0.1", port: 6002),
        "the address that files listens on"
    )

    package static let filesURL = Setting.url(
        "files.url",
        default: BaseURL(HostPort(host: "127.0.0.1", port: 6002)),
        "where other services reach files"
    )

    package static let filesDirectory = Setting.path(
        "files.directory",
        default: ".data/files",
        "the directory of the blobs, on one file system; without it files under data_dir"
    )

    package static let filesBase64BytesMax = Setting.integer(
        "files.base64_bytes_max",
        default: 52_428_800,
        in: 1...1_073_741_824,
        "the largest file sent as base64, in decoded bytes"
    )

    package static let filesFileBytesMax = Setting.integer(
        "files.file_bytes_max",
        default: 2_147_483_648,
        in: 1...1_099_511_627_776,
        "the largest file sent in any other way, in bytes"
    )

    package static let filesImageBytesMax = typeBytesMax("files.image_bytes_max", "image")

    package static let filesVideoBytesMax = typeBytesMax("files.video_bytes_max", "video")

    package static let filesVoiceBytesMax = typeBytesMax("files.voice_bytes_max", "sound file")

    private static func typeBytesMax(_ key: String, _ name: String) -> Setting<Int> {
        .integer(
            key,
            default: 1_099_511_627_776,
            in: 1...1_099_511_627_776,
            "the largest \(name), in bytes; never more than files.file_bytes_max"
        )
    }

    package static let filesUserBytesMax = Setting.integer(
        "files.user_bytes_max",
        default: 10_737_418_240,
        in: 1...1_125_899_906_842_624,
        "what a user's files hold together, in bytes; more is answered 413"
    )

    package static let filesUserFilesMax = Setting.integer(
        "files.user_files_max",
        default: 10_000,
        in: 1...100_000_000,
        "a user's files; more are answered 413"
    )

    package static let filesUploadsPerUserMax = Setting.integer(
        "files.uploads_per_user_max",
        default: 8,
        in: 1...1000,
        "a user's uploads at once; more are answered 429"
    )

    package static let filesUploadsPerNetworkMax = Setting.integer(
        "files.uploads_per_network_max",
        default: 64,
        in: 1...100_000,
        "uploads at once from one client address (of IPv6 its /64); more are answered 429"
    )

    package static let filesUploadsMax = Setting.integer(
        "files.uploads_max",
        default: 256,
        in: 1...100_000,
        "everybody's uploads at once; each holds a descriptor and up to 1 MiB of memory"
    )

    package static let filesFreeBytesMin = Setting.integer(
        "files.free_bytes_min",
        default: 1_073_741_824,
        in: 0...1_125_899_906_842_624,
        "what uploads leave free on the disk, in bytes, for others such as Redis; below it they are answered 507"
    )

    package static let filesDiskThreads = Setting.integer(
        "files.disk_threads",
        default: 2,
        in: 1...64,
        "threads that write, hash and read files"
    )

    package static let filesURLSecret = Setting.optionalSecret(
        "files.url_secret",
        bytesMin: 32,
        "signs the URLs that need no session; without it a random key in the directory of the blobs"
    )

    package static let filesURLLifetime = Setting.duration(
        "files.url_lifetime_s",
        default: 300,
        in: 1...3600,
        "how long such a URL is good"
    )

    package static let filesTusUploadsPerUserMax = Setting.integer(
        "files.tus_uploads_per_user_max",
        default: 20,
        in: 1...10_000,
        "a user's unfinished uploads by tus, whether bytes arrive or not; more are answered 429"
    )

    package static let filesUploadExpiry = Setting.duration(
        "files.upload_expiry_s",
        default: 86_400,
        in: 1...2_592_000,
        "how long an upload by tus waits for its next bytes before it is removed"
    )
}

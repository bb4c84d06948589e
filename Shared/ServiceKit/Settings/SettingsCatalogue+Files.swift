/// The settings of the files service.
extension SettingsCatalogue {
    static let files: [any SettingDeclaration] = [filesListen, filesURL]

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
}

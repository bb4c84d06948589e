/// The settings of the auth service.
extension SettingsCatalogue {
    static let auth: [any SettingDeclaration] = [authListen, authURL]

    package static let authListen = Setting.address(
        "auth.listen",
        default: HostPort(host: "127.0.0.1", port: 6001),
        "the address that auth listens on"
    )

    package static let authURL = Setting.url(
        "auth.url",
        default: BaseURL(HostPort(host: "127.0.0.1", port: 6001)),
        "where other services reach auth"
    )
}

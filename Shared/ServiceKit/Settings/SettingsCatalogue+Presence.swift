/// The settings of the presence service.
extension SettingsCatalogue {
    static let presence: [any SettingDeclaration] = [presenceListen, presenceURL]

    package static let presenceListen = Setting.address(
        "presence.listen",
        default: HostPort(host: "127.0.0.1", port: 6003),
        "the address that presence listens on"
    )

    package static let presenceURL = Setting.url(
        "presence.url",
        default: BaseURL(HostPort(host: "127.0.0.1", port: 6003)),
        "where other services reach presence"
    )
}

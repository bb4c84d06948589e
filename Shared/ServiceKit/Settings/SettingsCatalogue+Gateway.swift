/// The settings of the gateway service.
extension SettingsCatalogue {
    static let gateway: [any SettingDeclaration] = [gatewayListen]

    package static let gatewayListen = Setting.address(
        "gateway.listen",
        default: HostPort(host: "127.0.0.1", port: 6004),
        "the address that the gateway listens on"
    )
}

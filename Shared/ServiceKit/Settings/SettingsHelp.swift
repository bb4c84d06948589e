/// The settings part of `--help`: every key with its default, what it is for, and how to give it.
package enum SettingsHelp {
    /// The text for one service.
    ///
    /// - Parameter service: The service whose own section comes with the shared ones; `nil` for all sections.
    /// - Returns: Lines, each ended by a newline.
    package static func text(for service: String?) -> String {
        let sections = ["auth", "files", "presence", "gateway"]
        var lines = ["Settings (JSON file, or the environment: auth.listen is AUTH_LISTEN):"]
        for setting in SettingsCatalogue.all {
            let section = String(setting.key.prefix { $0 != "." })
            let isForeign = sections.contains(section) && section != service && !setting.key.hasSuffix(".url")
            guard service == nil || !isForeign else { continue }
            lines.append("  \(setting.key)  (default: \(setting.defaultText))")
            lines.append("      \(setting.doc); \(setting.rule)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

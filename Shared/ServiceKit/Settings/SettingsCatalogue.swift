/// Every setting of the whole stack, one file per section: each service knows every key, so that one file serves
/// all of them and a misspelt key stops each of them.
package enum SettingsCatalogue {
    /// All settings, in the order of `--help`; `environment` first, since secrets depend on it.
    package static let all: [any SettingDeclaration] = common + auth + files + presence + gateway

    /// What two settings must be to each other.
    typealias Relation = @Sendable (Settings) -> SettingsError.SettingsProblem?
    static let relations: [Relation] = commonRelations + authRelations + presenceRelations
}

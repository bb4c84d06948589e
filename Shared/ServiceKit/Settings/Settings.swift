/// The settings of the whole stack, read once at start: one JSON file in the guide's shape, overridden by the
/// environment, checked against `SettingsCatalogue.all`.
package struct Settings: Sendable {
    private var values: [String: any Sendable] = [:]
    /// The keys that the file or the environment gave.
    private var given: Set<String> = []

    /// Reads and checks the settings.
    ///
    /// - Parameters:
    ///   - json: The file's bytes; `nil` without a file.
    ///   - environment: The process's environment; variables that are no setting's are ignored.
    /// - Throws: `SettingsError` with every unknown key, bad value and missing secret.
    package init(json: [UInt8]?, environment: [String: String]) throws(SettingsError) {
        var problems: [SettingsError.SettingsProblem] = []
        let file = json.map { SettingsFile(json: $0) } ?? SettingsFile()
        problems += file.problems
        let known = Set(SettingsCatalogue.all.map(\.key))
        for (key, input) in file.inputs.sorted(by: { $0.key < $1.key }) where !known.contains(key) {
            // An unknown key may be a misspelt secret, so its value is not repeated.
            _ = input
            problems.append(.init(key: key, value: "", rule: "unknown setting"))
        }
        for declaration in SettingsCatalogue.all {
            read(declaration, file: file, environment: environment, problems: &problems)
        }
        if problems.isEmpty {
            followDataDirectory()
            checkRelations(&problems)
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
    }

    /// The value of a setting.
    ///
    /// - Parameter setting: One that `SettingsCatalogue.all` lists; anything else is a programming error.
    package subscript<Value>(_ setting: Setting<Value>) -> Value {
        guard let value = values[setting.key] as? Value else {
            preconditionFailure("\(setting.key) is not listed in SettingsCatalogue.all")
        }
        return value
    }

    /// Whether the file or the environment gave this setting a value.
    package func isGiven(_ setting: any SettingDeclaration) -> Bool { given.contains(setting.key) }

    // MARK: - Reading

    private mutating func read(
        _ declaration: any SettingDeclaration,
        file: SettingsFile,
        environment: [String: String],
        problems: inout [SettingsError.SettingsProblem]
    ) {
        let name = declaration.environmentName
        let override = environment[name].flatMap { $0.isEmpty ? nil : SettingInput.text($0) }
        // A bad value in the file is a problem even where the environment overrides it.
        for (source, input) in [(declaration.key, file.inputs[declaration.key]), (name, override)] {
            guard let input else { continue }
            if let value = declaration.value(from: input) {
                values[declaration.key] = value
                given.insert(declaration.key)
            } else {
                let shown = declaration.isSecret ? "***" : input.shown
                problems.append(.init(key: source, value: shown, rule: "must be \(declaration.rule)"))
            }
        }
        guard !given.contains(declaration.key) else { return }
        values[declaration.key] = declaration.erasedDefault
        // `environment` is the catalogue's first entry, so it is known by now.
        let isDevelopment = (values["environment"] as? StackEnvironment) == .development
        let reported = problems.contains { $0.key == declaration.key || $0.key == name }
        if declaration.isRequiredInProduction, !isDevelopment, !reported {
            problems.append(.init(key: declaration.key, value: "", rule: "missing; must be \(declaration.rule)"))
        }
    }

    /// The store's default lies in the data directory.
    private mutating func followDataDirectory() {
        guard !isGiven(SettingsCatalogue.store) else { return }
        let directory = self[SettingsCatalogue.dataDirectory]
        values[SettingsCatalogue.store.key] = StoreLocation.sqlite(directory: directory)
    }

    private func checkRelations(_ problems: inout [SettingsError.SettingsProblem]) {
        for check in SettingsCatalogue.relations {
            if let problem = check(self) { problems.append(problem) }
        }
    }
}

extension Settings {
    /// Settings for tests and tools: development's defaults and what is given, by key and as text.
    ///
    /// - Parameter overrides: Such as `["auth.listen": "127.0.0.1:0"]`.
    /// - Returns: The checked settings.
    /// - Throws: `SettingsError` for an unknown key or a bad value.
    package static func development(_ overrides: [String: String] = [:]) throws(SettingsError) -> Settings {
        var environment = ["ENVIRONMENT": "development"]
        let names = Dictionary(uniqueKeysWithValues: SettingsCatalogue.all.map { ($0.key, $0.environmentName) })
        for (key, text) in overrides {
            guard let name = names[key] else {
                throw SettingsError(problems: [.init(key: key, value: "", rule: "unknown setting")])
            }
            environment[name] = text
        }
        return try Settings(json: nil, environment: environment)
    }
}

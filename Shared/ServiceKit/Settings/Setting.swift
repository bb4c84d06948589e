/// One setting of the stack: its key, its default, its rule and what it is for, declared once in
/// `SettingsCatalogue` and read as `settings[SettingsCatalogue.authListen]`.
///
/// The environment overrides the file under the key in capitals with `_` for `.`
/// (`gateway.message_rate` → `GATEWAY_MESSAGE_RATE`); an empty variable counts as not given.
package struct Setting<Value: Sendable>: Sendable {
    /// `section.name`, or a bare name at the top level of the file.
    package let key: String
    /// What the value must be, as a problem report says it.
    package let rule: String
    /// What it is for, one line.
    package let doc: String
    /// The default as `--help` shows it.
    package let defaultText: String
    /// What is given is never shown: it is a secret, or holds one.
    package let isSecret: Bool
    /// Its default holds in development only.
    package let isRequiredInProduction: Bool
    let defaultValue: Value
    /// The value, or `nil` when the input breaks the rule.
    let read: @Sendable (SettingInput) -> Value?

    init(
        _ key: String,
        rule: String,
        default defaultValue: Value,
        shown defaultText: String,
        isSecret: Bool = false,
        isRequiredInProduction: Bool = false,
        _ doc: String,
        read: @escaping @Sendable (SettingInput) -> Value?
    ) {
        self.key = key
        self.rule = rule
        self.doc = doc
        self.defaultText = defaultText
        self.isSecret = isSecret
        self.isRequiredInProduction = isRequiredInProduction
        self.defaultValue = defaultValue
        self.read = read
    }
}

/// A setting of whatever value type, as the catalogue lists it.
package protocol SettingDeclaration: Sendable {
    var key: String { get }
    var rule: String { get }
    var doc: String { get }
    var defaultText: String { get }
    var isSecret: Bool { get }
    var isRequiredInProduction: Bool { get }
    /// The value, or `nil` when `input` breaks the rule.
    func value(from input: SettingInput) -> (any Sendable)?
    /// The default, which for a required setting holds in development only.
    var erasedDefault: any Sendable { get }
}

extension SettingDeclaration {
    /// The environment variable that overrides it.
    package var environmentName: String {
        String(decoding: key.uppercased().utf8.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
    }
}

extension Setting: SettingDeclaration {
    package func value(from input: SettingInput) -> (any Sendable)? { read(input) }
    package var erasedDefault: any Sendable { defaultValue }
}

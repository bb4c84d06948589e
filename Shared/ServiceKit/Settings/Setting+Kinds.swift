// The kinds of settings. Each takes the JSON type that fits it from the file, and text from the environment.

extension Setting where Value == String {
    /// Text of the given length in UTF-8 bytes.
    package static func string(
        _ key: String,
        default defaultValue: String,
        bytes: ClosedRange<Int> = 1...4096,
        _ doc: String
    ) -> Setting {
        Setting(
            key,
            rule: "text of \(bytes.lowerBound) to \(bytes.upperBound) bytes",
            default: defaultValue,
            shown: "\"\(defaultValue)\"",
            doc
        ) { $0.string(bytes: bytes) }
    }

    /// A path in the file system; a relative one is resolved against the working directory.
    package static func path(_ key: String, default defaultValue: String, _ doc: String) -> Setting {
        Setting(key, rule: SettingInput.pathRule, default: defaultValue, shown: defaultValue, doc) { $0.path }
    }

    /// A secret, never shown: its default holds in development only, in production it must be given.
    package static func secret(
        _ key: String,
        developmentDefault: String,
        bytesMin: Int = 16,
        _ doc: String
    ) -> Setting {
        Setting(
            key,
            rule: "a secret of \(bytesMin) to 4096 visible ASCII characters, without a default in production",
            default: developmentDefault,
            shown: "none in production",
            isSecret: true,
            isRequiredInProduction: true,
            doc
        ) { $0.secret(bytesMin: bytesMin) }
    }
}

/// Settings without a default: not given, what they are for is off.
///
/// The readers wrap what they find once more: a plain `nil` would be a value, and a bad one would pass.
extension Setting where Value == String? {
    /// Text of the given length in UTF-8 bytes.
    package static func optionalString(
        _ key: String,
        bytes: ClosedRange<Int>,
        shown defaultText: String = "none",
        _ doc: String
    ) -> Setting {
        Setting(
            key,
            rule: "text of \(bytes.lowerBound) to \(bytes.upperBound) bytes",
            default: nil,
            shown: defaultText,
            doc
        ) { $0.string(bytes: bytes).map(Optional.some) }
    }

    /// A path in the file system; a relative one is resolved against the working directory.
    package static func optionalPath(_ key: String, _ doc: String) -> Setting {
        Setting(key, rule: SettingInput.pathRule, default: nil, shown: "none", doc) { $0.path.map(Optional.some) }
    }

    /// A secret, never shown.
    package static func optionalSecret(_ key: String, bytesMin: Int, _ doc: String) -> Setting {
        Setting(
            key,
            rule: "a secret of \(bytesMin) to 4096 visible ASCII characters",
            default: nil,
            shown: "none",
            isSecret: true,
            doc
        ) { $0.secret(bytesMin: bytesMin).map(Optional.some) }
    }
}

extension Setting where Value == Int {
    /// A whole number; a bare integer carries its unit last in its key (`base64_bytes_max`).
    package static func integer(
        _ key: String,
        default defaultValue: Int,
        in range: ClosedRange<Int>,
        _ doc: String
    ) -> Setting {
        Setting(
            key,
            rule: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            default: defaultValue,
            shown: String(defaultValue),
            doc
        ) { input in
            input.integer.flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension Setting where Value == Duration {
    /// A duration: a whole number in the unit that the key ends in, `_ms` or `_s`.
    ///
    /// - Parameters:
    ///   - key: Ends in `_ms` or `_s`.
    ///   - defaultValue: In that unit.
    ///   - range: In that unit.
    ///   - doc: What it is for.
    /// - Returns: The declaration.
    package static func duration(
        _ key: String,
        default defaultValue: Int,
        in range: ClosedRange<Int>,
        _ doc: String
    ) -> Setting {
        let inMilliseconds = key.hasSuffix("_ms")
        precondition(inMilliseconds || key.hasSuffix("_s"), "\(key): a duration's key ends in its unit")
        let make: @Sendable (Int) -> Duration = { inMilliseconds ? .milliseconds($0) : .seconds($0) }
        return Setting(
            key,
            rule: "\(inMilliseconds ? "milliseconds" : "seconds") from \(range.lowerBound) to \(range.upperBound)",
            default: make(defaultValue),
            shown: String(defaultValue),
            doc
        ) { input in
            input.integer.flatMap { range.contains($0) ? make($0) : nil }
        }
    }
}

extension Setting where Value == Bool {
    /// `true` or `false`.
    package static func bool(_ key: String, default defaultValue: Bool, _ doc: String) -> Setting {
        Setting(key, rule: "true or false", default: defaultValue, shown: String(defaultValue), doc) { input in
            switch input {
            case .bool(let value): value
            case .text("true"), .text("1"): true
            case .text("false"), .text("0"): false
            default: nil
            }
        }
    }
}

extension Setting where Value == [String] {
    /// A list of texts; commas separate them in the environment.
    ///
    /// - Parameters:
    ///   - key: The setting's key.
    ///   - defaultValue: The default.
    ///   - countMax: The most items.
    ///   - rule: What an item must be.
    ///   - doc: What it is for.
    ///   - accepts: Whether an item is acceptable.
    /// - Returns: The declaration.
    package static func list(
        _ key: String,
        default defaultValue: [String],
        countMax: Int = 1000,
        rule: String = "not empty",
        _ doc: String,
        accepts: @escaping @Sendable (String) -> Bool = { !$0.isEmpty }
    ) -> Setting {
        Setting(
            key,
            rule: "a list of at most \(countMax) strings, each \(rule)",
            default: defaultValue,
            shown: SettingInput.list(defaultValue).shown,
            doc
        ) { input in
            guard let items = input.list, items.count <= countMax, items.allSatisfy(accepts) else { return nil }
            return items
        }
    }
}

extension Setting where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the words of an enum.
    package static func choice(_ key: String, default defaultValue: Value, _ doc: String) -> Setting {
        let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return Setting(key, rule: "one of \(words)", default: defaultValue, shown: defaultValue.rawValue, doc) {
            $0.string.flatMap(Value.init(rawValue:))
        }
    }
}

extension Setting where Value == HostPort {
    /// A numeric address to listen on, `127.0.0.1:6001` or `[::]:6001`; port 0 lets the system choose.
    package static func address(_ key: String, default defaultValue: HostPort, _ doc: String) -> Setting {
        Setting(
            key,
            rule: "an IP address and a port from 0 to 65535, such as 127.0.0.1:6001 or [::]:6001",
            default: defaultValue,
            shown: defaultValue.description,
            doc
        ) { input in
            guard let address = input.string.flatMap(HostPort.init(parsing:)), address.numeric != nil else {
                return nil
            }
            return address
        }
    }
}

extension Setting where Value == BaseURL {
    /// `http://host:port`, where another service is reached.
    package static func url(_ key: String, default defaultValue: BaseURL, _ doc: String) -> Setting {
        Setting(key, rule: BaseURL.rule, default: defaultValue, shown: defaultValue.description, doc) { input in
            input.string.flatMap(BaseURL.init(parsing:))
        }
    }
}

extension Setting where Value == BaseURL? {
    /// `http://host:port`, without a default of its own.
    package static func optionalURL(_ key: String, shown defaultText: String, _ doc: String) -> Setting {
        Setting(key, rule: BaseURL.rule, default: nil, shown: defaultText, doc) { input in
            input.string.flatMap(BaseURL.init(parsing:)).map(Optional.some)
        }
    }
}

extension Setting where Value == StoreLocation {
    /// Where state is kept.
    ///
    /// What is given may hold a password, and in what cannot be read nobody knows where: none of it is shown.
    package static func store(_ key: String, default defaultValue: StoreLocation, _ doc: String) -> Setting {
        Setting(
            key,
            rule: StoreLocation.rule,
            default: defaultValue,
            shown: defaultValue.description,
            isSecret: true,
            doc
        ) { input in
            input.string.flatMap(StoreLocation.init(parsing:))
        }
    }
}

extension SettingInput {
    fileprivate static let pathRule = "a path of 1 to 4096 bytes without NUL"

    fileprivate func string(bytes: ClosedRange<Int>) -> String? {
        string.flatMap { bytes.contains($0.utf8.count) ? $0 : nil }
    }

    fileprivate var path: String? { string(bytes: 1...4096).flatMap { $0.utf8.contains(0) ? nil : $0 } }

    /// It travels in header fields, so nothing that a field value cannot hold.
    fileprivate func secret(bytesMin: Int) -> String? {
        string(bytes: bytesMin...4096).flatMap { $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? $0 : nil }
    }

    fileprivate var integer: Int? {
        switch self {
        case .integer(let value): value
        case .text(let value): Int(value)
        default: nil
        }
    }

    fileprivate var list: [String]? {
        switch self {
        case .list(let items): items
        case .text(let value):
            value.split(separator: ",").map { $0.trimmingSpaces }.filter { !$0.isEmpty }
        default: nil
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var rest = self.drop { $0 == " " }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}

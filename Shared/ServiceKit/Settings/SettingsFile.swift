import Core

/// The settings file, flattened: `{"server":{"port":6006}}` is `server.port` = 6006.
struct SettingsFile {
    private(set) var inputs: [String: SettingInput] = [:]
    private(set) var problems: [SettingsError.SettingsProblem] = []

    init() {}

    /// - Parameter json: The file's bytes: an object of settings and of sections with settings.
    init(json: [UInt8]) {
        do {
            guard case .object(let top) = try JSONBody.decode(JSONValue.self, from: json) else {
                problems.append(.init(key: "settings file", value: "", rule: "must be a JSON object"))
                return
            }
            flatten(top, under: "")
        } catch {
            let reason = (error as? Problem)?.detail ?? "not readable"
            problems.append(.init(key: "settings file", value: "", rule: "must be a JSON object; \(reason)"))
        }
    }

    private mutating func flatten(_ object: [String: JSONValue], under prefix: String) {
        for (name, value) in object {
            let key = prefix + name
            if case .object(let inner) = value {
                flatten(inner, under: key + ".")
            } else {
                inputs[key] = value.input
            }
        }
    }
}

/// Any JSON value.
private enum JSONValue: Decodable {
    case object([String: JSONValue])
    case array([JSONValue])
    case string(String)
    case integer(Int)
    case number(Double)
    case bool(Bool)
    case null

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// What a setting gets to read.
    var input: SettingInput {
        switch self {
        case .string(let value): return .string(value)
        case .integer(let value): return .integer(value)
        case .bool(let value): return .bool(value)
        case .number(let value): return .other(String(value))
        case .null: return .other("null")
        case .object: return .other("an object")
        case .array(let items):
            var texts: [String] = []
            for item in items {
                guard case .string(let text) = item else { return .other("a list with other things than strings") }
                texts.append(text)
            }
            return .list(texts)
        }
    }
}

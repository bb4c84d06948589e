import Core
import ServiceKit
import Testing

@Suite("Settings")
struct SettingsTests {
    private static let token = ["INTERNAL_TOKEN": "0123456789abcdef"]

    private func settings(_ json: String?, _ environment: [String: String] = token) throws -> Settings {
        try Settings(json: json.map { Array($0.utf8) }, environment: environment)
    }

    private func problems(_ json: String?, _ environment: [String: String] = token) -> [String] {
        do {
            _ = try settings(json, environment)
            return []
        } catch {
            return (error as? SettingsError)?.problems.map(\.description) ?? ["\(error)"]
        }
    }

    @Test("the guide's file loads as it is")
    func guideFile() throws {
        let json = """
            {"server":{"host":"0.0.0.0","port":6006},
             "cors":{"allowed_origins":["http://localhost:8004","https://your-domain.com"],"allow_credentials":true}}
            """
        let settings = try settings(json)
        #expect(settings[SettingsCatalogue.serverHost] == "0.0.0.0")
        #expect(settings[SettingsCatalogue.serverPort] == 6006)
        #expect(
            settings[SettingsCatalogue.corsAllowedOrigins] == ["http://localhost:8004", "https://your-domain.com"]
        )
        #expect(settings[SettingsCatalogue.corsAllowCredentials])
        #expect(settings[SettingsCatalogue.environment] == .production)
    }

    @Test("the environment overrides the file; an empty variable and foreign ones do not count")
    func environment() throws {
        let settings = try settings(
            #"{"log":{"level":"debug"},"auth":{"listen":"0.0.0.0:7001"}}"#,
            [
                "INTERNAL_TOKEN": "0123456789abcdef", "LOG_LEVEL": "error", "AUTH_LISTEN": "", "PATH": "/bin",
                "CORS_ALLOWED_ORIGINS": "https://a.example, https://b.example:8443", "AUTH_PORT": "tcp://1.2.3.4",
            ]
        )
        #expect(settings[SettingsCatalogue.logLevel] == .error)
        #expect(settings[SettingsCatalogue.authListen] == HostPort(host: "0.0.0.0", port: 7001))
        #expect(settings[SettingsCatalogue.corsAllowedOrigins] == ["https://a.example", "https://b.example:8443"])
        #expect(settings.isGiven(SettingsCatalogue.logLevel))
        #expect(!settings.isGiven(SettingsCatalogue.serverPort))
    }

    @Test("every problem is reported at once, with key, value and rule")
    func allProblems() {
        let found = problems(
            #"{"server":{"port":0,"hots":"x"},"colour":1,"cors":{"allow_credentials":"yes"},"log":7}"#,
            ["INTERNAL_TOKEN": "short", "SHUTDOWN_GRACE_MS": "1s", "STORE": "mysql://x"]
        )
        #expect(
            found == [
                "colour: unknown setting",
                "log: unknown setting",
                "server.hots: unknown setting",
                "STORE = ***: must be sqlite:DIR or "
                    + "redis://[[user]:password@]host[:port][,host[:port]…][/database]",
                "server.port = 0: must be a whole number from 1 to 65535",
                #"cors.allow_credentials = "yes": must be true or false"#,
                "INTERNAL_TOKEN = ***: must be a secret of 16 to 4096 visible ASCII characters, "
                    + "without a default in production",
                #"SHUTDOWN_GRACE_MS = "1s": must be milliseconds from 0 to 600000"#,
            ]
        )
    }

    @Test("a missing secret is a problem in production only")
    func secrets() throws {
        #expect(problems(nil, [:]).count == 1)
        #expect(problems(nil, [:]).first?.hasPrefix("internal.token: missing") == true)
        let development = try settings(nil, ["ENVIRONMENT": "development"])
        #expect(development[SettingsCatalogue.internalToken].utf8.count >= 16)
        #expect(!SettingsHelp.text(for: nil).contains(development[SettingsCatalogue.internalToken]))
    }

    @Test("a setting without a default is nothing until it is given; a secret among them is never shown")
    func optionalSettings() throws {
        let without = try settings(nil)
        #expect(without[SettingsCatalogue.authExchangeSecret] == nil)
        #expect(without[SettingsCatalogue.authCommonPasswordsFile] == nil)
        let secret = String(repeating: "s", count: 32)
        let with = try settings(
            #"{"auth":{"exchange_secret":"\#(secret)","exchange_audience":"chat","common_passwords_file":"/p"}}"#
        )
        #expect(with[SettingsCatalogue.authExchangeSecret] == secret)
        #expect(with[SettingsCatalogue.authExchangeAudience] == "chat")
        #expect(with[SettingsCatalogue.authCommonPasswordsFile] == "/p")
        let short = problems(#"{"auth":{"exchange_secret":"\#(secret.dropLast())"}}"#)
        #expect(short == ["auth.exchange_secret = ***: must be a secret of 32 to 4096 visible ASCII characters"])
    }

    @Test(
        "a store that cannot be read is not shown: it may hold a password, wherever the mistake is",
        arguments: [
            "rediss://:s3cret@host:6379", "redis//:s3cret@host", "redis://user@s3cret", "redis://:s3cret@host:port",
            "redis://:s3cret", "s3cret",
        ]
    )
    func wrongStore(text: String) {
        var environment = Self.token
        environment["STORE"] = text
        for found in [problems(nil, environment), problems(#"{"store":"\#(text)"}"#)] {
            #expect(found.count == 1)
            #expect(found.allSatisfy { !$0.contains("s3cret") && $0.contains(" = ***: must be sqlite:DIR or redis") })
        }
    }

    @Test("the previous secret of the exchange goes with a present one only")
    func previousExchangeSecret() {
        let secret = String(repeating: "s", count: 32)
        #expect(
            problems(#"{"auth":{"exchange_secret_previous":"\#(secret)"}}"#)
                == ["auth.exchange_secret_previous = ***: only together with auth.exchange_secret"]
        )
        #expect(
            problems(#"{"auth":{"exchange_secret_previous":"\#(secret)","exchange_secret":"\#(secret)"}}"#).isEmpty
        )
    }

    @Test("a file that is no JSON object is named as such", arguments: ["", "[]", "{", #"{"a":1"#, "null"])
    func brokenFile(json: String) {
        #expect(problems(json).contains { $0.hasPrefix("settings file: must be a JSON object") })
    }

    @Test("wrong JSON types break the rule", arguments: ["null", "6006.5", "\"6006\"", "true", "[6006]", "65536"])
    func wrongTypes(value: String) {
        #expect(problems(#"{"server":{"port":\#(value)}}"#).count == 1)
    }

    @Test("the wildcard origin and credentials exclude each other")
    func wildcardWithCredentials() {
        #expect(problems(#"{"cors":{"allowed_origins":["*"]}}"#).isEmpty)
        #expect(problems(#"{"cors":{"allowed_origins":["*"],"allow_credentials":true}}"#).count == 1)
    }

    @Test(
        "what is no origin is refused",
        arguments: ["example.com", "https://example.com/", "ftp://example.com", "https://", "https://a b", "null"]
    )
    func notAnOrigin(text: String) {
        #expect(problems(#"{"cors":{"allowed_origins":["\#(text)"]}}"#).count == 1)
    }

    @Test("the store follows the data directory unless it is given")
    func dataDirectory() throws {
        let followed = try Settings.development(["data_dir": "/var/lib/chat"])
        #expect(followed[SettingsCatalogue.store] == .sqlite(directory: "/var/lib/chat"))
        let given = try Settings.development(["data_dir": "/var/lib/chat", "store": "sqlite:/db"])
        #expect(given[SettingsCatalogue.store] == .sqlite(directory: "/db"))
    }

    @Test("keys and environment names are unique, documented, and their defaults can be read")
    func catalogue() throws {
        let all = SettingsCatalogue.all
        #expect(Set(all.map(\.key)).count == all.count)
        #expect(Set(all.map(\.environmentName)).count == all.count)
        #expect(all.first?.key == "environment")
        for setting in all {
            #expect(!setting.doc.isEmpty && !setting.rule.isEmpty, "\(setting.key)")
            #expect(
                setting.key.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" || $0 == "." },
                "\(setting.key)"
            )
        }
        _ = try Settings.development()
    }

    @Test("unknown keys in overrides are refused")
    func unknownOverride() {
        #expect(throws: SettingsError.self) { try Settings.development(["auth.lisen": "x"]) }
    }
}

@Suite("Setting values")
struct SettingValueTests {
    @Test(
        "host and port",
        arguments: [
            ("127.0.0.1:6001", "127.0.0.1", 6001), ("[::1]:0", "::1", 0), ("files:65535", "files", 65535),
        ]
    )
    func hostPort(text: String, host: String, port: Int) {
        let parsed = HostPort(parsing: text)
        #expect(parsed == HostPort(host: host, port: port))
        #expect(parsed?.description == text)
    }

    @Test(
        "what is no host and port",
        arguments: ["", ":1", "a:", "a", "a:65536", "a:+1", "::1:80", "[a]:1", "a b:1", "a:000001", "a/b:1"]
    )
    func notHostPort(text: String) {
        #expect(HostPort(parsing: text) == nil)
    }

    @Test(
        "base URLs",
        arguments: [
            ("http://auth:6001", "http://auth:6001"), ("HTTP://auth/", "http://auth:80"),
            ("http://[::1]:6001/", "http://[::1]:6001"),
        ]
    )
    func baseURL(text: String, shown: String) {
        #expect(BaseURL(parsing: text)?.description == shown)
    }

    @Test("what is no base URL", arguments: ["https://a", "http://", "a:1", "http://a/b", "http://u@a", "http://a:0"])
    func notBaseURL(text: String) {
        #expect(BaseURL(parsing: text) == nil)
    }

    @Test("stores, without their passwords when shown")
    func stores() {
        #expect(StoreLocation(parsing: "sqlite:/data") == .sqlite(directory: "/data"))
        #expect(StoreLocation(parsing: "sqlite:") == nil)
        #expect(StoreLocation(parsing: "redis://")?.description == nil)
        #expect(StoreLocation(parsing: "redis://r")?.description == "redis://r:6379/0")
        #expect(StoreLocation(parsing: "redis://r/x") == nil)
        #expect(StoreLocation(parsing: "redis://u:p:w@r:7000/3")?.description == "redis://u:***@r:7000/3")
        #expect(StoreLocation(parsing: "redis://a:1,b:2")?.description == "redis://a:1,b:2/0")
    }
}

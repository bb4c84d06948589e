/// Functions of ours that run in the server (Redis 7 and later).
///
/// A library's versions are libraries of their own, `chatlog_1` and `chatlog_2`, so that old and new processes work
/// side by side while they are replaced; the functions' names need the version as well, since they are the server's.
package struct RedisLibrary: Sendable, Equatable {
    /// What the server calls it.
    package let name: String
    /// All that is loaded.
    package let code: String

    /// - Parameters:
    ///   - name: Letters, digits and underscores.
    ///   - version: Raised with every change of `source` that has been deployed.
    ///   - source: In Lua, without the `#!lua` line.
    package init(name: String, version: Int, source: String) {
        self.name = "\(name)_\(version)"
        code = "#!lua name=\(self.name)\n" + source
    }

    /// Puts it into a server, in the place of one of the same name and version.
    var load: RedisCommand { RedisCommand("FUNCTION", "LOAD", "REPLACE", .text(code)) }
}

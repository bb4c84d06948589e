/// An error that a server answered with: its code word, and the text after it.
package struct RedisServerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The first word of an error; what the servers send, so there may be others.
    package struct Code: RawRepresentable, Sendable, Hashable {
        package let rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        /// Everything that has no word of its own.
        package static let err = Code(rawValue: "ERR")
        /// Another primary serves the key's slot.
        package static let moved = Code(rawValue: "MOVED")
        /// The key, if it exists, is on its way to another primary: ask there, this once.
        package static let ask = Code(rawValue: "ASK")
        /// Some of the command's keys have moved already and some not yet.
        package static let tryAgain = Code(rawValue: "TRYAGAIN")
        /// The cluster, or the slot, is not served at the time.
        package static let clusterDown = Code(rawValue: "CLUSTERDOWN")
        /// The keys of one command lie in several slots.
        package static let crossSlot = Code(rawValue: "CROSSSLOT")
        /// The server reads its data set from the disk.
        package static let loading = Code(rawValue: "LOADING")
        /// A replica that has lost its primary.
        package static let masterDown = Code(rawValue: "MASTERDOWN")
        /// A write to a replica.
        package static let readOnly = Code(rawValue: "READONLY")
        /// `maxmemory` is reached.
        package static let outOfMemory = Code(rawValue: "OOM")
        /// Persistence fails, and writes are refused for it.
        package static let misconfigured = Code(rawValue: "MISCONF")
        /// A script runs and runs.
        package static let busy = Code(rawValue: "BUSY")
        package static let noScript = Code(rawValue: "NOSCRIPT")
        package static let noAuthentication = Code(rawValue: "NOAUTH")
        package static let wrongPassword = Code(rawValue: "WRONGPASS")
        /// The user may not run this command, or not on this key.
        package static let noPermission = Code(rawValue: "NOPERM")
        package static let wrongType = Code(rawValue: "WRONGTYPE")
        /// The server does not speak the version of the protocol that was asked for.
        package static let noProtocol = Code(rawValue: "NOPROTO")
    }

    package let code: Code
    /// Without the code word.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// - Parameter line: The error as it was sent, without its type byte and line end.
    init(line: String) {
        let word = line.utf8.prefix { $0 != UInt8(ascii: " ") }
        let isCode = !word.isEmpty && word.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        code = isCode ? Code(rawValue: String(line[..<word.endIndex])) : .err
        message = isCode ? String(line[word.endIndex...].dropFirst()) : line
    }

    package var description: String { message.isEmpty ? code.rawValue : "\(code.rawValue) \(message)" }

    /// Whether it passes by itself, so that the same command is worth another try.
    var isPassing: Bool {
        switch code {
        case .loading, .masterDown, .busy, .tryAgain, .clusterDown: true
        default: false
        }
    }

    /// Whether it is given before a command, or any part of a function, runs.
    ///
    /// `OOM` is: whether there is room is looked at once, before a function begins.
    var isBeforeRunning: Bool {
        isPassing || isFunctionMissing
            || [.moved, .ask, .crossSlot, .noAuthentication, .outOfMemory].contains(code)
    }

    /// Whether a function was called that the server does not have; nothing has run then.
    var isFunctionMissing: Bool { code == .err && message.hasPrefix("Function not found") }
}

import Foundation

/// What is said on a new connection before any command of a caller's: a pure state machine.
///
/// `HELLO 3` with password and name; servers that do not know it get `AUTH` and `CLIENT SETNAME`, and answer in RESP2.
/// Then the database, the functions, and a `PING`, which a server that still loads its data refuses.
struct RedisGreeting {
    /// What a server says of itself in `HELLO`.
    struct Server: Equatable {
        /// One that serves some of a cluster's slots; `nil` when it did not say.
        var isCluster: Bool?
        var isReplica = false
    }

    /// What to do next.
    enum Step {
        /// Say this, and come back with the answer.
        case send(RedisCommand)
        /// The server takes commands.
        case done(Server)
        /// It does not. What passes by itself is worth another connection soon.
        case failed(RedisServerError)
    }

    private enum Stage {
        case hello, authentication, name, database, library, ping
    }

    private let user: String?
    private let password: String?
    private let clientName: String?
    private let database: Int
    private var libraries: ArraySlice<RedisLibrary>
    private var stages: ArraySlice<Stage> = []
    private var stage = Stage.hello
    private var server = Server()

    init(_ url: RedisURL, clientName: String?, libraries: [RedisLibrary]) {
        user = url.user
        password = url.password
        database = url.database
        self.clientName = clientName
        self.libraries = libraries[...]
    }

    /// The first thing to say.
    var first: RedisCommand {
        var arguments: [RedisArgument] = [3]
        if let password { arguments += ["AUTH", .text(user ?? "default"), .text(password)] }
        if let clientName { arguments += ["SETNAME", .text(clientName)] }
        return RedisCommand("HELLO", arguments)
    }

    /// Takes the answer to what was said last.
    mutating func take(_ answer: RESPValue) -> Step {
        if case .error(let error) = answer, let step = take(error) { return step }
        if stage == .hello {
            server.isCluster = answer["mode"]?.text.map { $0 == "cluster" }
            server.isReplica = answer["role"]?.text == "replica"
            stages = [.database, .library, .ping]
        }
        return next()
    }

    /// Takes an error: `nil` when the greeting goes on all the same.
    private mutating func take(_ error: RedisServerError) -> Step? {
        switch stage {
        case .hello where error.code == .noProtocol || error.code == .err && error.message.contains("unknown command"):
            stages = [.authentication, .name, .database, .library, .ping]
            return next()
        case .library where [.outOfMemory, .misconfigured, .readOnly].contains(error.code):
            // Functions outlive connections: most likely they are there, and reading must go on. If they are not, their
            // callers hear it.
            return nil
        case .name, .ping:
            // A name is for people to read; a user who may not ping may do other things.
            return error.isPassing || error.code == .noAuthentication ? .failed(error) : nil
        case .hello, .authentication: return .failed(Self.withoutArguments(error))
        case .database, .library: return .failed(error)
        }
    }

    /// A server that does not know a command says with which arguments it came, the password among them.
    private static func withoutArguments(_ error: RedisServerError) -> RedisServerError {
        let words = error.message.range(of: ", with args").map { error.message[..<$0.lowerBound] }
        return RedisServerError(error.code, words.map(String.init) ?? error.message)
    }

    private mutating func next() -> Step {
        while let stage = stages.first {
            self.stage = stage
            switch stage {
            case .library:
                if !server.isReplica, let library = libraries.popFirst() { return .send(library.load) }
            case .authentication:
                if let password {
                    stages.removeFirst()
                    // Before there were users, AUTH took the password alone.
                    return .send(RedisCommand("AUTH", (user.map { [.text($0)] } ?? []) + [.text(password)]))
                }
            case .name:
                if let clientName {
                    stages.removeFirst()
                    return .send(RedisCommand("CLIENT", "SETNAME", .text(clientName)))
                }
            case .database:
                if database != 0 {
                    stages.removeFirst()
                    return .send(RedisCommand("SELECT", .integer(database)))
                }
            case .ping:
                stages.removeFirst()
                return .send(RedisCommand("PING"))
            case .hello: break
            }
            stages.removeFirst()
        }
        return .done(server)
    }
}

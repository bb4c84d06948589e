/// Which primary serves which slots, as `CLUSTER SLOTS` lists it.
struct ClusterMap: Equatable {
    /// Consecutive slots of one primary.
    struct Part: Equatable {
        let slots: ClosedRange<Int>
        let primary: RedisEndpoint
    }

    let parts: [Part]

    /// - Parameters:
    ///   - answer: Of `CLUSTER SLOTS`.
    ///   - asked: The server that gave it; where it leaves the host out, it means its own.
    /// - Returns: `nil` when the answer has another form.
    init?(_ answer: RESPValue, asked: RedisEndpoint) {
        guard let elements = answer.elements else { return nil }
        var parts: [Part] = []
        for element in elements {
            guard let fields = element.elements, fields.count >= 3,
                let first = fields[0].integer, let last = fields[1].integer,
                0 <= first, first <= last, last < HashSlot.count,
                let server = fields[2].elements, server.count >= 2, let port = server[1].integer.flatMap(UInt16.init)
            else { return nil }
            let host = server[0].text ?? ""
            // A server whose name the cluster does not know yet; another one may know it soon.
            if host == "?" { continue }
            let primary = RedisEndpoint(host: host.isEmpty ? asked.host : host, port: port)
            parts.append(Part(slots: first...last, primary: primary))
        }
        self.parts = parts
    }
}

/// Where `MOVED` and `ASK` send a command: `3999 127.0.0.1:6381`.
struct Redirection: Equatable {
    let slot: Int
    let target: RedisEndpoint

    /// - Parameters:
    ///   - message: The error without its code word.
    ///   - asked: The server that gave it; where it leaves the host out, it means its own.
    /// - Returns: `nil` when the message has another form.
    init?(_ message: String, asked: RedisEndpoint) {
        let words = message.split(separator: " ")
        guard words.count == 2, let slot = Int(words[0]), (0..<HashSlot.count).contains(slot),
            let colon = words[1].lastIndex(of: ":"), let port = UInt16(words[1][words[1].index(after: colon)...])
        else { return nil }
        let host = String(words[1][..<colon])
        self.slot = slot
        target = RedisEndpoint(host: host.isEmpty ? asked.host : host, port: port)
    }
}

/// What a descriptor is watched for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let read = Interest(rawValue: 1)
    package static let write = Interest(rawValue: 2)
}

/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A read will not block: bytes, the end of the stream, or an error that it reports.
    package static let read = Readiness(rawValue: 1)
    package static let write = Readiness(rawValue: 2)
    /// The connection is gone in both directions (EPOLLHUP or EPOLLERR).
    package static let hangUp = Readiness(rawValue: 4)
}

/// Owner of one descriptor on an event loop.
///
/// All calls come on the loop's thread.
///
/// A protocol and not a base class: a class could be subclassed in other modules only if it were `open`, and the
/// existential call costs 1.6 ns.
package protocol Channel: AnyObject {
    /// The descriptor is ready for some of what it is watched for.
    func ready(_ readiness: Readiness)
    /// The end of a loop turn in which `markDirty` was called: write what has gathered.
    func flush()
}

extension Channel {
    /// Nothing, for a channel that never writes.
    package func flush() {}
}

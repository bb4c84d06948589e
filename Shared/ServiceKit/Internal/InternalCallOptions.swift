/// How patiently another service is asked.
package struct InternalCallOptions: Sendable {
    /// For the whole call, its repeats included.
    package var timeout = Duration.seconds(2)
    /// Whether asking twice does no harm, as with every route of the internal contract.
    package var isRepeatable = true
    /// How often it is tried.
    package var attemptsMax = 3
    /// Whether the call fails at once while the service is known not to answer.
    package var usesCircuit = true
    /// The largest answer, in bytes.
    package var responseBytesMax = 4 << 20

    package init() {}

    package static let standard = InternalCallOptions()

    /// Asked once, and long enough for a long poll to end.
    ///
    /// - Parameter waitSeconds: The `wait` of the request.
    /// - Returns: The options.
    package static func longPoll(waitSeconds: Int) -> InternalCallOptions {
        var options = InternalCallOptions()
        options.timeout = .seconds(waitSeconds) + .milliseconds(1500)
        options.attemptsMax = 1
        options.usesCircuit = false
        return options
    }
}

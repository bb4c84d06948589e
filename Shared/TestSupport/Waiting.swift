/// Waits until `condition` holds, looking again every few milliseconds.
///
/// - Parameters:
///   - timeout: How long at most; generous, since it only matters to a test that fails.
///   - condition: Cheap to ask.
/// - Returns: Whether it came to hold.
package func eventually(
    within timeout: Duration = .seconds(30),
    _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let end = ContinuousClock.now + timeout
    while ContinuousClock.now < end {
        if try await condition() { return true }
        // Not a spin of yields: that takes the machine from the very tasks that are waited for.
        try? await Task.sleep(for: .milliseconds(5))
    }
    return try await condition()
}

/// Returns when the task is cancelled, and not before.
package func untilCancelled() async {
    let (never, continuation) = AsyncStream<Void>.makeStream()
    for await _ in never {}
    continuation.finish()
}

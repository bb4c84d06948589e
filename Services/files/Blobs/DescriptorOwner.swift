import Glibc
import Synchronization

/// Closes a file descriptor when nobody holds it any more, so that no path out of a request leaks one.
final class DescriptorOwner: Sendable {
    /// Open as long as this object lives, unless it was released.
    let descriptor: Int32
    private let isReleased = Atomic<Bool>(false)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        if !isReleased.load(ordering: .relaxed) { close(descriptor) }
    }

    /// Hands the descriptor over to somebody who closes it.
    func release() -> Int32 {
        isReleased.store(true, ordering: .relaxed)
        return descriptor
    }
}

import Synchronization

/// The event loops of a process, one thread each.
package final class EventLoopGroup: Sendable {
    package let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// Starts `count` loops.
    ///
    /// - Parameter count: At least 1; two processes on two cores are served best by one each.
    /// - Throws: `SystemCallError` when the kernel gives no epoll or eventfd.
    package init(count: Int = 1) throws(SystemCallError) {
        var loops: [EventLoop] = []
        for index in 0..<max(count, 1) { loops.append(try EventLoop(name: "loop-\(index)")) }
        self.loops = loops
        for loop in loops { loop.start() }
    }

    /// The loops in turn.
    package func next() -> EventLoop {
        loops[turn.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count]
    }

    /// Stops every loop after its current turn, and waits for their threads to end.
    ///
    /// Not to be called on one of the loops.
    package func shutDown() {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }
}

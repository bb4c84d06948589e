/// A value that belongs to one event loop, carried through code that the compiler cannot place on it.
///
/// `@unchecked`: the value is touched only through `value`, which traps off the loop's thread.
package struct LoopBound<Value>: @unchecked Sendable {
    package let loop: EventLoop
    private let stored: Value

    /// - Parameter loop: The loop that owns `value`; this must run on it.
    package init(_ value: Value, loop: EventLoop) {
        loop.preconditionCurrent()
        self.loop = loop
        stored = value
    }

    /// A value made elsewhere that nobody else keeps: from here on it is the loop's.
    package init(handing value: sending Value, to loop: EventLoop) {
        self.loop = loop
        stored = value
    }

    /// The value; only on the loop's thread.
    package var value: Value {
        loop.preconditionCurrent()
        return stored
    }
}

/// A value whose ownership goes from one thread to another through a queue: the sender keeps no use of it.
///
/// `@unchecked`: the queue (`EventLoop.submit`, a `Mutex`) orders the two threads' accesses.
package struct Handover<Value>: @unchecked Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}

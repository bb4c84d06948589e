/// Bytes in waiting: one growing buffer, allocated when something waits and freed when all is consumed.
///
/// An idle connection therefore holds none. The owner checks `count` against its limit; the queue itself only grows.
package struct ByteQueue: ~Copyable {
    private static let smallestCapacity = 1024

    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0

    package init() {}

    deinit { base?.deallocate() }

    /// How many bytes wait.
    package var count: Int { end - start }

    package var isEmpty: Bool { end == start }

    /// What waits, oldest first; valid until the queue changes.
    package var waiting: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { $0 + start }, count: count)
    }

    /// Makes room for `count` bytes in all, so that filling up to there copies nothing.
    package mutating func reserveCapacity(_ count: Int) {
        if capacity - start < count { makeRoom(count - self.count) }
    }

    /// Adds `count` bytes, which the caller writes to the returned place at once.
    package mutating func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if capacity - end < count { makeRoom(count) }
        let place = UnsafeMutableRawBufferPointer(start: base.map { $0 + end }, count: count)
        end += count
        return place
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        reserve(bytes.count).copyMemory(from: bytes)
    }

    /// Forgets the first `count` bytes: they were written.
    package mutating func consume(_ count: Int) {
        start += count
        if start == end { removeAll() }
    }

    /// Forgets everything, and frees the buffer unless it will be filled again soon.
    package mutating func removeAll(keepingCapacity: Bool = false) {
        start = 0
        end = 0
        if keepingCapacity { return }
        base?.deallocate()
        base = nil
        capacity = 0
    }

    private mutating func makeRoom(_ wanted: Int) {
        if let base, count + wanted <= capacity {
            // Enough in all: close the gap that writing has left in front.
            base.copyMemory(from: base + start, byteCount: count)
        } else {
            var grown = max(capacity * 2, Self.smallestCapacity)
            while grown < count + wanted { grown *= 2 }
            let place = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
            if let base {
                place.copyMemory(from: base + start, byteCount: count)
                base.deallocate()
            }
            base = place
            capacity = grown
        }
        end = count
        start = 0
    }
}

/// A queue: added at the end, taken at the front, both without moving the rest.
struct RingBuffer<Element> {
    private var places: [Element?] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// The front element.
    var first: Element? { count == 0 ? nil : places[head] }

    mutating func append(_ element: Element) {
        if count == places.count { grow() }
        places[(head + count) & (places.count - 1)] = element
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = places[head].take()
        head = (head + 1) & (places.count - 1)
        count -= 1
        return element
    }

    /// Everything, oldest first; the queue is empty then.
    mutating func takeAll() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popFirst() { all.append(element) }
        return all
    }

    private mutating func grow() {
        let wanted = max(16, 2 * places.count)
        var grown: [Element?] = []
        grown.reserveCapacity(wanted)
        for index in 0..<count { grown.append(places[(head + index) & (places.count - 1)]) }
        while grown.count < wanted { grown.append(nil) }
        places = grown
        head = 0
    }
}

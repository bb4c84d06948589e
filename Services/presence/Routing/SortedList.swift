/// Elements in their order.
///
/// A sorted array: at ten thousand elements an insertion or removal moves some hundred kilobytes, microseconds, and
/// what comes last goes to the end at once.
struct SortedList<Element: Comparable & Sendable>: Sendable {
    private(set) var elements: [Element] = []

    var count: Int { elements.count }
    var isEmpty: Bool { elements.isEmpty }

    mutating func insert(_ element: Element) {
        elements.insert(element, at: insertionIndex(of: element))
    }

    /// Takes the element out, if it is there.
    mutating func remove(_ element: Element) {
        if let index = index(of: element) { elements.remove(at: index) }
    }

    func index(of element: Element) -> Int? {
        let index = insertionIndex(of: element)
        return index < elements.count && elements[index] == element ? index : nil
    }

    /// The index of the first element that is not less than `element`.
    private func insertionIndex(of element: Element) -> Int {
        if let last = elements.last, last < element { return elements.count }
        var low = 0
        var high = elements.count
        while low < high {
            let middle = (low + high) / 2
            if elements[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

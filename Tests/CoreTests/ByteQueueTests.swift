import Core
import TestSupport
import Testing

@Suite("Byte queue")
struct ByteQueueTests {
    @Test("an empty one has no bytes, and can be emptied again")
    func empty() {
        var queue = ByteQueue()
        #expect(queue.isEmpty == true)
        #expect(queue.count == 0)
        #expect(queue.waiting.isEmpty)
        queue.append(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(queue.reserve(0).isEmpty)
        queue.consume(0)
        queue.removeAll()
        queue.removeAll(keepingCapacity: true)
        #expect(queue.isEmpty == true)
    }

    @Test("keeps its bytes over every growth", arguments: [1, 1023, 1024, 1025, 2048, 4097, 1 << 20])
    func growth(count: Int) {
        var queue = ByteQueue()
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        bytes.withUnsafeBytes { queue.append($0) }
        queue.reserve(1)[0] = 7
        #expect(queue.count == count + 1)
        #expect(queue.waiting.elementsEqual(bytes + [7]))
        queue.consume(count)
        #expect(Array(queue.waiting) == [7])
        queue.consume(1)
        #expect(queue.isEmpty == true)
    }

    @Test("random use agrees with an array")
    func model() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            var queue = ByteQueue()
            var model: [UInt8] = []
            for _ in 0..<200 {
                switch Int.random(in: 0..<8, using: &random) {
                case 0...2:
                    let large = Int.random(in: 0..<20, using: &random) == 0
                    let count = Int.random(in: 0...(large ? 5000 : 300), using: &random)
                    let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                    bytes.withUnsafeBytes { queue.append($0) }
                    model += bytes
                case 3:
                    let bytes = (0..<Int.random(in: 0...50, using: &random)).map { UInt8($0) }
                    queue.reserve(bytes.count).copyBytes(from: bytes)
                    model += bytes
                case 4...6:
                    let count = Int.random(in: 0...model.count, using: &random)
                    let taken = Int.random(in: 0...count, using: &random)
                    queue.consume(taken)
                    model.removeFirst(taken)
                default:
                    guard Int.random(in: 0..<20, using: &random) == 0 else { continue }
                    queue.removeAll(keepingCapacity: Bool.random(using: &random))
                    model = []
                }
                #expect(queue.count == model.count, "seed \(seed)")
                #expect(queue.isEmpty == model.isEmpty)
                guard queue.waiting.elementsEqual(model) else {
                    Issue.record("bytes differ, seed \(seed)")
                    return
                }
            }
        }
    }
}

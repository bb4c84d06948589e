/// Writes commands: arrays of bulk strings, in both versions of the protocol.
///
/// It writes into memory that its user has reserved: appending bytes one by one to an array costs three times as much.
struct RESPEncoder {
    /// What a string takes beside its own bytes, at most: type, length, two line ends.
    static let frameBytesMax = 1 + Decimal.digitsMax + 4

    private let place: UnsafeMutableRawBufferPointer
    /// Bytes written.
    private(set) var count = 0

    /// - Parameter place: Filled from its beginning; writing past its end traps.
    init(_ place: UnsafeMutableRawBufferPointer) { self.place = place }

    /// Begins a command of `count` strings, its name among them.
    mutating func beginCommand(count: Int) { appendHead(UInt8(ascii: "*"), count) }

    /// Appends one string of a command.
    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends one string of a command, of any bytes.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        appendHead(UInt8(ascii: "$"), bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: place[count..<(count + bytes.count)]).copyMemory(from: bytes)
        count += bytes.count
        appendLineEnd()
    }

    /// Appends a number, as the string of its digits.
    mutating func append(_ number: Int) {
        appendHead(UInt8(ascii: "$"), Decimal.length(number))
        appendDigits(number)
        appendLineEnd()
    }

    private mutating func appendHead(_ type: UInt8, _ number: Int) {
        place[count] = type
        count += 1
        appendDigits(number)
        appendLineEnd()
    }

    private mutating func appendDigits(_ number: Int) {
        let length = Decimal.length(number)
        Decimal.write(number, UnsafeMutableRawBufferPointer(rebasing: place[count..<(count + length)]))
        count += length
    }

    private mutating func appendLineEnd() {
        place[count] = UInt8(ascii: "\r")
        place[count + 1] = UInt8(ascii: "\n")
        count += 2
    }
}

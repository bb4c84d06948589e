import Core

/// Makes message ids: 26 characters of Crockford's base 32 that sort by time (48 bits of milliseconds, then 80 bits).
///
/// The 80 bits start at random in each process and count up, so ids are unique over gateways and restarts
/// without asking the kernel for every one. They are names, not secrets.
struct MessageID {
    static let length = 26

    private var high: UInt16
    private var low: UInt64

    /// Begins anywhere.
    init() { self.init(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }

    /// Begins after the given 80 bits.
    init(high: UInt16, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Writes the next id.
    ///
    /// - Parameter place: At least `length` bytes.
    mutating func write(milliseconds: Int64, into place: UnsafeMutableRawBufferPointer) {
        let (next, carry) = low.addingReportingOverflow(1)
        low = next
        if carry { high &+= 1 }
        var time = UInt64(milliseconds)
        for index in stride(from: 9, through: 0, by: -1) {
            place[index] = Self.digit(time & 31)
            time >>= 5
        }
        // 80 bits in 16 digits: 64 of them from `low`, 16 from `high`.
        var bits = low
        for index in stride(from: 25, through: 14, by: -1) {
            place[index] = Self.digit(bits & 31)
            bits >>= 5
        }
        bits |= UInt64(high) << 4
        for index in stride(from: 13, through: 10, by: -1) {
            place[index] = Self.digit(bits & 31)
            bits >>= 5
        }
    }

    private static func digit(_ value: UInt64) -> UInt8 {
        // Crockford's alphabet leaves out I, L, O and U.
        let alphabet: StaticString = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        return alphabet.utf8Start[Int(value)]
    }
}

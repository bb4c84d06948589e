/// Whole numbers in decimal digits, as the protocol writes them.
enum Decimal {
    /// Of any number, with its sign.
    static let digitsMax = 20

    /// The number that all of `digits` spell, with an optional sign; `nil` for anything else or past 64 bits.
    static func integer(_ digits: UnsafeRawBufferPointer) -> Int? {
        guard let first = digits.first else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var index = isNegative || first == UInt8(ascii: "+") ? 1 : 0
        guard index < digits.count else { return nil }
        var value = 0
        while index < digits.count {
            let digit = Int(digits[index]) - Int(UInt8(ascii: "0"))
            guard digit >= 0, digit <= 9 else { return nil }
            // Downwards, since the least number has no positive counterpart.
            let (shifted, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, isPast) = shifted.subtractingReportingOverflow(digit)
            guard !isTooLarge, !isPast else { return nil }
            value = sum
            index += 1
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    /// How many digits, and a sign if any, `number` takes.
    static func length(_ number: Int) -> Int {
        var rest = number.magnitude
        var count = number < 0 ? 2 : 1
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }

    /// Writes `number` so that it fills `place`, which is as long as `length` says.
    static func write(_ number: Int, _ place: UnsafeMutableRawBufferPointer) {
        if number < 0 { place[0] = UInt8(ascii: "-") }
        var rest = number.magnitude
        var index = place.count
        repeat {
            index -= 1
            place[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
    }
}

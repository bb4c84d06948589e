/// Whole numbers in decimal digits, as the protocol writes them.
enum Decimal {
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

    /// Appends `number` to `output`.
    static func append(_ number: Int, to output: inout [UInt8]) {
        if number < 0 { output.append(UInt8(ascii: "-")) }
        let magnitude = number.magnitude
        var power: UInt = 1
        while magnitude / power >= 10 { power *= 10 }
        while power > 0 {
            output.append(UInt8(ascii: "0") + UInt8(magnitude / power % 10))
            power /= 10
        }
    }
}

import Glibc

/// A point in time in milliseconds since 1970 UTC; on the wire RFC 3339 with milliseconds
/// (`2026-01-20T10:00:00.123Z`).
///
/// Own arithmetic instead of Foundation's formatters: one is written into every message, and Foundation's
/// takes microseconds where this takes tens of nanoseconds.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The wall clock's time.
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    /// The time `delta` milliseconds later, or earlier when it is negative.
    package func advanced(byMilliseconds delta: Int64) -> Timestamp {
        Timestamp(milliseconds: milliseconds + delta)
    }

    /// The length of the wire form, in bytes.
    package static let wireLength = 24

    /// The RFC 3339 form, 24 bytes.
    package var wire: String {
        String(unsafeUninitializedCapacity: Self.wireLength) { buffer in
            write(into: buffer)
            return Self.wireLength
        }
    }

    /// Writes the 24 bytes of the wire form.
    ///
    /// - Parameter buffer: At least `wireLength` bytes.
    package func write(into buffer: UnsafeMutableBufferPointer<UInt8>) {
        let days = milliseconds.floorDivided(by: 86_400_000)
        let inDay = Int(milliseconds - days * 86_400_000)
        // Days to year, month, day in the proleptic Gregorian calendar, with years that start in March.
        let z = Int(days) + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func digits(_ value: Int, _ count: Int, at offset: Int) {
            var rest = value
            for i in stride(from: offset + count - 1, through: offset, by: -1) {
                buffer[i] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
        }
        digits(year, 4, at: 0)
        buffer[4] = UInt8(ascii: "-")
        digits(month, 2, at: 5)
        buffer[7] = UInt8(ascii: "-")
        digits(day, 2, at: 8)
        buffer[10] = UInt8(ascii: "T")
        digits(inDay / 3_600_000, 2, at: 11)
        buffer[13] = UInt8(ascii: ":")
        digits(inDay / 60_000 % 60, 2, at: 14)
        buffer[16] = UInt8(ascii: ":")
        digits(inDay / 1000 % 60, 2, at: 17)
        buffer[19] = UInt8(ascii: ".")
        digits(inDay % 1000, 3, at: 20)
        buffer[23] = UInt8(ascii: "Z")
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

/// The monotonic clock, for deadlines and ages.
package enum Monotonic {
    /// Milliseconds since some point in the past; never goes back.
    package static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

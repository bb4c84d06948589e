package import Core

/// Dates of header fields (RFC 9110 §5.6.7).
package enum HTTPDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// The IMF-fixdate form, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// - Parameter time: In the years 1970 to 9999.
    /// - Returns: 29 bytes.
    package static func text(_ time: Timestamp) -> String {
        let wire = Array(time.wire.utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: wire[range], as: UTF8.self) }
        let weekday = weekdays[Int(max(time.milliseconds, 0) / 86_400_000 % 7)]
        let month = months[(Int(part(5..<7)) ?? 1) - 1]
        return "\(weekday), \(part(8..<10)) \(month) \(part(0..<4)) \(part(11..<19)) GMT"
    }
}

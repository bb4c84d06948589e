/// Comparisons of secrets whose time does not depend on where they differ.
package enum ConstantTime {
    /// Whether `a` and `b` are the same bytes.
    ///
    /// Only their lengths can be told from the time taken.
    package static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<a.count {
            difference |= a[index] ^ b[index]
        }
        return difference == 0
    }

    /// Whether `a` and `b` have the same UTF-8 (no Unicode equivalence).
    ///
    /// Only their lengths can be told.
    package static func equal(_ a: String, _ b: String) -> Bool {
        equal(Array(a.utf8), Array(b.utf8))
    }
}

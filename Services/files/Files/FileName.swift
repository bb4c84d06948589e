/// The rules of a file's name: what people see, and what a browser offers when it saves the file.
///
/// It names nothing on the server's disk.
enum FileName {
    /// The longest name, in Unicode scalars.
    static let scalarsMax = 255
    /// No name that keeps the rules is longer, in UTF-8 bytes.
    static let bytesMax = scalarsMax * 4
    static let lengthRule = "1 to \(scalarsMax) characters"

    /// The rule that `name` breaks, `nil` if it keeps them all.
    ///
    /// A path is refused rather than cut down to its last part: what the sender meant is not for us to guess.
    static func brokenRule(_ name: String) -> String? {
        let scalars = name.unicodeScalars
        guard (1...scalarsMax).contains(scalars.count) else { return lengthRule }
        if scalars.contains(where: isControl) { return "must not have control characters" }
        if scalars.contains("/") || scalars.contains("\\") { return "must not have '/' or '\\'" }
        if name == "." || name == ".." { return "must not be '.' or '..'" }
        return nil
    }

    /// Whether `scalar` is a control (C0, DEL, C1), a line or paragraph separator, or one of the invisible marks that
    /// turn the direction of text around, by which `gpj.exe` can be made to look like `exe.jpg`.
    ///
    /// The plain marks LRM and RLM stay: Hebrew Windows writes them into the names of its screenshots.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

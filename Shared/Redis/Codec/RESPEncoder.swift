/// Writes commands: arrays of bulk strings, in both versions of the protocol.
package enum RESPEncoder {
    /// Begins a command.
    ///
    /// - Parameters:
    ///   - count: How many strings follow, the command's name among them.
    ///   - output: Appended to.
    package static func beginCommand(count: Int, to output: inout [UInt8]) {
        appendHead(UInt8(ascii: "*"), count, to: &output)
    }

    /// Appends one string of a command.
    package static func append(_ text: String, to output: inout [UInt8]) {
        appendHead(UInt8(ascii: "$"), text.utf8.count, to: &output)
        var text = text
        text.withUTF8 { output.append(contentsOf: $0) }
        appendLineEnd(to: &output)
    }

    /// Appends one string of a command, of any bytes.
    package static func append(_ bytes: [UInt8], to output: inout [UInt8]) {
        appendHead(UInt8(ascii: "$"), bytes.count, to: &output)
        output.append(contentsOf: bytes)
        appendLineEnd(to: &output)
    }

    /// Appends a number, as the string of its digits.
    package static func append(_ number: Int, to output: inout [UInt8]) {
        appendHead(UInt8(ascii: "$"), Decimal.length(number), to: &output)
        Decimal.append(number, to: &output)
        appendLineEnd(to: &output)
    }

    private static func appendHead(_ type: UInt8, _ number: Int, to output: inout [UInt8]) {
        output.append(type)
        Decimal.append(number, to: &output)
        appendLineEnd(to: &output)
    }

    private static func appendLineEnd(to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\r"))
        output.append(UInt8(ascii: "\n"))
    }
}

/// The escapes of JSON strings (RFC 8259 §7) that `JSONScanner` has found well-formed.
enum JSONEscapes {
    /// The value of a hexadecimal digit.
    static func hexValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// A string's value from its escaped form.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            guard bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count else {
                output.append(bytes[at])
                at += 1
                continue
            }
            switch bytes[at + 1] {
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0c)
            case UInt8(ascii: "n"): output.append(0x0a)
            case UInt8(ascii: "r"): output.append(0x0d)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"):
                at += appendUnit(bytes, at: at, to: &output)
                continue
            case let byte: output.append(byte)
            }
            at += 2
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Appends the scalar of `\uXXXX`, or of a pair of them; returns how many bytes that took.
    private static func appendUnit(_ bytes: UnsafeRawBufferPointer, at: Int, to output: inout [UInt8]) -> Int {
        func unit(_ offset: Int) -> UInt32 {
            (offset..<offset + 4).reduce(0) { $0 << 4 | (hexValue(bytes[$1]) ?? 0) }
        }
        var value = unit(at + 2)
        var length = 6
        if (0xd800...0xdbff).contains(value) {
            value = 0x10000 + (value - 0xd800) << 10 + (unit(at + 8) - 0xdc00)
            length = 12
        }
        if let scalar = Unicode.Scalar(value) { output += UTF8.encode(scalar).map(Array.init) ?? [] }
        return length
    }

    /// How many Unicode scalars a string has, from its escaped form.
    static func scalarCount(_ slice: JSONSlice) -> Int {
        var scalars = 0
        // Every byte but UTF-8's continuation bytes starts a scalar.
        for byte in slice.bytes where byte & 0xc0 != 0x80 { scalars += 1 }
        return slice.hasEscapes ? JSONEscapes.decode(slice.bytes).unicodeScalars.count : scalars
    }
}

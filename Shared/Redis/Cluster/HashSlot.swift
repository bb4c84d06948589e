/// The slots that a cluster spreads its keys over (Redis Cluster specification, "Key distribution model").
package enum HashSlot {
    /// How many there are.
    package static let count = 16_384

    private static let table: [UInt16] = (0..<256).map { byte in
        var value = UInt16(byte) << 8
        for _ in 0..<8 { value = value & 0x8000 == 0 ? value << 1 : value << 1 ^ 0x1021 }
        return value
    }

    /// The slot of a key: CRC-16 (XMODEM) of its hash tag, which is what lies between the first `{` and the next `}`,
    /// or of all of it when there is no such part or it is empty.
    package static func of(_ key: String) -> Int {
        var key = key
        return key.withUTF8 { of(UnsafeRawBufferPointer($0)) }
    }

    /// The slot of a key of any bytes.
    static func of(_ key: UnsafeRawBufferPointer) -> Int {
        var hashed = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        {
            hashed = key[(open + 1)..<close]
        }
        var crc: UInt16 = 0
        for byte in hashed { crc = crc << 8 ^ table[Int(crc >> 8 ^ UInt16(byte))] }
        return Int(crc) % count
    }
}

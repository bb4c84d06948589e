/// What a message carries.
enum ContentType: String, CaseIterable {
    case text = "Text"
    case image = "Image"
    case file = "File"
    case voice = "Voice"
    case video = "Video"

    /// Reads a wire name, case-insensitively.
    init?(wire: JSONSlice) {
        guard wire.kind == .string else { return nil }
        let match = wire.withoutEscapes { bytes in Self.allCases.first { $0.matches(bytes) } }
        guard let match else { return nil }
        self = match
    }

    private func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var name = rawValue
        return name.withUTF8 { name in
            guard name.count == bytes.count else { return false }
            for index in 0..<name.count where name[index] | 0x20 != bytes[index] | 0x20 { return false }
            return true
        }
    }
}

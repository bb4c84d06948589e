/// Recognises audio that has no signature but a run of frames: MPEG layers 1 to 3 and AAC in ADTS.
///
/// WHATWG MIME Sniffing §6.2.3 calls the first "MP3 without ID3". One sync word is too little evidence, so the next
/// frame must be where it should.
enum AudioFrameSniffer {
    /// The type of the frames that `head` begins with, `nil` if it does not begin with two.
    static func contentType(of head: ArraySlice<UInt8>) -> String? {
        let bytes = Array(head)
        if let length = adtsFrameLength(bytes[...]), isFollowed(bytes, at: length, by: adtsFrameLength) {
            return "audio/aac"
        }
        if let length = mpegFrameLength(bytes[...]), isFollowed(bytes, at: length, by: mpegFrameLength) {
            return "audio/mpeg"
        }
        return nil
    }

    private static func isFollowed(
        _ bytes: [UInt8],
        at length: Int,
        by frameLength: (ArraySlice<UInt8>) -> Int?
    ) -> Bool {
        length < bytes.count && frameLength(bytes[length...]) != nil
    }

    /// The length in bytes of the ADTS frame that begins `bytes` (ISO 14496-3 §1.A.2).
    private static func adtsFrameLength(_ bytes: ArraySlice<UInt8>) -> Int? {
        let header = Array(bytes.prefix(7))
        guard header.count == 7, header[0] == 0xFF, header[1] & 0xF6 == 0xF0 else { return nil }
        let rateIndex = header[2] >> 2 & 0x0F
        let length = Int(header[3] & 0x03) << 11 | Int(header[4]) << 3 | Int(header[5]) >> 5
        return rateIndex < 13 && length > 7 ? length : nil
    }

    /// The length in bytes of the MPEG audio frame that begins `bytes` (ISO 11172-3 §2.4).
    private static func mpegFrameLength(_ bytes: ArraySlice<UInt8>) -> Int? {
        let header = Array(bytes.prefix(4))
        guard header.count == 4, header[0] == 0xFF, header[1] & 0xE0 == 0xE0 else { return nil }
        let version = header[1] >> 3 & 0x03
        let layer = 4 - Int(header[1] >> 1 & 0x03)
        let bitrateIndex = Int(header[2] >> 4)
        let rateIndex = Int(header[2] >> 2 & 0x03)
        let padding = Int(header[2] >> 1 & 0x01)
        guard version != 1, layer != 4, (1...14).contains(bitrateIndex), rateIndex < 3 else { return nil }
        let isVersion1 = version == 3
        let rate = [44_100, 48_000, 32_000][rateIndex] >> (isVersion1 ? 0 : version == 2 ? 1 : 2)
        let kilobits =
            switch (isVersion1, layer) {
            case (true, 1): 32 * bitrateIndex
            case (true, 2): [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384][bitrateIndex - 1]
            case (true, _): [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320][bitrateIndex - 1]
            case (false, 1): [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256][bitrateIndex - 1]
            case (false, _): [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][bitrateIndex - 1]
            }
        if layer == 1 { return (12 * kilobits * 1000 / rate + padding) * 4 }
        let samples = layer == 3 && !isVersion1 ? 72 : 144
        return samples * kilobits * 1000 / rate + padding
    }
}

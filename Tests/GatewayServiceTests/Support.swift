import Core

@testable import GatewayService

/// A generator that a printed seed replays (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// True once in `odds` times.
    mutating func oneIn(_ odds: Int) -> Bool { Int.random(in: 0..<odds, using: &self) == 0 }
}

/// A frame as `ClientFrame.decode` understood it, without slices that point into it.
enum Decoded: Equatable {
    case chat(content: String, contentType: ContentType, addressee: String?, clientID: String?, fileID: String?)
    case heartbeat
    case delivered(conversationID: String, sequence: Int)
    /// A type that these tests say nothing about.
    case other
    case refused(ProblemCode, String)
}

/// Decodes a frame and tells which `client_id` an `Error` would echo.
func decode(_ text: String, sender: String = "u1") -> (frame: Decoded, clientID: String?) {
    var clientID: String?
    let bytes = Array(text.utf8)
    let frame: Decoded = bytes.withUnsafeBytes { buffer in
        do throws(FrameProblem) {
            switch try ClientFrame.decode(buffer, sender: sender, clientID: &clientID) {
            case .chat(let chat):
                return .chat(
                    content: chat.content.text,
                    contentType: chat.contentType,
                    addressee: chat.addressee,
                    clientID: chat.clientID,
                    fileID: chat.fileID
                )
            case .heartbeat: return .heartbeat
            case .delivered(let conversationID, let sequence):
                return .delivered(conversationID: conversationID, sequence: sequence)
            }
        } catch {
            return .refused(error.code, error.message)
        }
    }
    return (frame, clientID)
}

extension ByteQueue {
    /// What waits, as text.
    var text: String { String(decoding: waiting, as: UTF8.self) }
}

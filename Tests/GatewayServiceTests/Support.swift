import Core
import TestSupport

@testable import GatewayService

extension SeededGenerator {
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

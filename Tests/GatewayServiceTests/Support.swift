import Contracts
import Core
import Foundation
import TestSupport
import Testing

@testable import GatewayService

extension SeededGenerator {
    /// True once in `odds` times.
    mutating func oneIn(_ odds: Int) -> Bool { Int.random(in: 0..<odds, using: &self) == 0 }
}

/// A frame as `ClientFrame.decode` understood it, without slices that point into it.
enum Decoded: Equatable {
    case chat(content: String, contentType: ContentType, addressee: String?, clientID: String?, fileID: String?)
    case heartbeat
    case receipt(Receipt)
    case sync([SyncCursor])
    case typing(TypingFrame)
    case recall(RecallFrame)
    case history(HistoryFrame)
    case onlineUsers(UserType?)
    case status(PresenceStatus)
    case session(String)
    case refused(ProblemCode, String)
}

/// Decodes a frame and tells what an `Error` would repeat of it.
func decode(_ bytes: [UInt8], sender: String = "u1") -> (frame: Decoded, echo: FrameEcho) {
    var echo = FrameEcho()
    let frame: Decoded = bytes.withUnsafeBytes { buffer in
        do throws(FrameProblem) {
            return Decoded(try ClientFrame.decode(buffer, sender: sender, echo: &echo))
        } catch {
            return .refused(error.code, error.message)
        }
    }
    return (frame, echo)
}

func decode(_ text: String, sender: String = "u1") -> (frame: Decoded, echo: FrameEcho) {
    decode(Array(text.utf8), sender: sender)
}

extension Decoded {
    init(_ frame: ClientFrame) {
        switch frame {
        case .chat(let chat):
            self = .chat(
                content: chat.content.text,
                contentType: chat.contentType,
                addressee: chat.addressee,
                clientID: chat.clientID,
                fileID: chat.fileID
            )
        case .heartbeat: self = .heartbeat
        case .receipt(let receipt): self = .receipt(receipt)
        case .sync(let cursors): self = .sync(cursors)
        case .typing(let typing): self = .typing(typing)
        case .recall(let recall): self = .recall(recall)
        case .history(let history): self = .history(history)
        case .onlineUsers(let type): self = .onlineUsers(type)
        case .status(let status): self = .status(status)
        case .session(let sessionID): self = .session(sessionID)
        }
    }
}

extension ByteQueue {
    /// What waits, as text.
    var text: String { String(decoding: waiting, as: UTF8.self) }
}

/// Parses an object with Foundation, as a client would.
func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

/// Everything that JSON wants escaped, and what it does not.
let nasty = "a\"b\\c\u{1}\u{1f}\n\t\u{7f}é你😀\u{2028}</script>'"

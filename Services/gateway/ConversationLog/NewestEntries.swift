import Core

/// What a summary takes from a conversation's newest entries, in one pass from the head backwards.
struct NewestEntries {
    private let user: String
    private let head: Int
    /// The entries that count as unread; empty for somebody who never was a member.
    private let unreadFirst: Int
    private let unreadLast: Int
    private let messageFirst: Int
    private(set) var unread = 0
    private(set) var lastMessage: String?
    private(set) var updatedAt = Timestamp(milliseconds: 0)

    /// - Parameters:
    ///   - read: The user's read position; `nil` for somebody who never was a member.
    ///   - ended: The sequence that ended their membership.
    init(user: String, head: Int, read: Int?, ended: Int?) {
        self.user = user
        self.head = head
        unreadLast = min(ended ?? head, head)
        unreadFirst = max(read ?? head, head - ConversationSummary.unreadSpan) + 1
        messageFirst = max(head - ConversationSummary.lastMessageSpan, 0) + 1
    }

    /// The earliest entry that can matter.
    var first: Int { min(messageFirst, unreadFirst, head) }

    /// Looks at an entry; false when no earlier one matters.
    mutating func take(_ sequence: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let glance = StoredEntry.Glance(text)
        if sequence == head { updatedAt = glance.timestamp ?? updatedAt }
        if glance.isChat {
            if lastMessage == nil, sequence >= messageFirst {
                lastMessage = "{\"seq\":\(sequence)," + String(decoding: text, as: UTF8.self)
            }
            if sequence >= unreadFirst, sequence <= unreadLast, glance.recallSequence == nil,
                !glance.isFrom(user)
            {
                unread += 1
            }
        }
        return sequence > unreadFirst || (lastMessage == nil && sequence > messageFirst)
    }
}

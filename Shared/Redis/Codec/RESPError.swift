/// Why a server's bytes are not an answer that is taken; the connection is of no use after it.
package enum RESPError: Error, Sendable, Equatable {
    /// No type of the protocol begins with this byte; streamed types are among these, since no server sends them.
    case unknownType(UInt8)
    /// A line that does not end in CRLF, or has a CR inside.
    case malformedLine
    /// A length that is no number, or negative.
    case malformedLength
    /// A number, truth value or null that is none.
    case malformedNumber
    /// A bulk string that does not end where its length says.
    case missingLineEnd
    /// A verbatim string without its format.
    case malformedVerbatim
    /// A push inside of another value.
    case nestedPush
    /// A line is longer than `RESPLimits.lineBytesMax`.
    case lineTooLong
    /// A bulk string is longer than `RESPLimits.bulkBytesMax`.
    case bulkTooLong
    /// Values lie deeper in each other than `RESPLimits.depthMax`.
    case tooDeep
    /// An answer has more parts than `RESPLimits.elementsMax`.
    case tooManyElements
    /// An answer is longer than `RESPLimits.answerBytesMax`.
    case answerTooLarge
}

/// What one answer may take of our memory; past any of these the connection is given up.
package struct RESPLimits: Sendable, Equatable {
    /// Of one bulk string.
    package var bulkBytesMax = 64 << 20
    /// Of one simple string, error or number.
    package var lineBytesMax = 64 << 10
    /// Aggregates in each other.
    package var depthMax = 32
    /// Values in one answer, nested ones and attributes included.
    package var elementsMax = 1 << 20
    /// Of one answer in all.
    package var answerBytesMax = 128 << 20

    package init() {}
}

/// Writes message heads and chunks (RFC 9112).
package enum MessageSerializer {
    /// Why a head is not written; a programmer's mistake or hostile data that a handler let through.
    package enum Failure: Error, Sendable, Equatable {
        /// A field's name is not a token.
        case invalidFieldName(String)
        /// The named field's value has a CR, LF or NUL, which would end the field early.
        case invalidFieldValue(String)
        /// The method or the target of a request has a space or control character.
        case invalidRequestLine
    }

    /// `100 Continue`, whole.
    package static let continueResponse = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
    /// The last chunk and an empty trailer section.
    package static let lastChunk = Array("0\r\n\r\n".utf8)

    /// Appends a response's status line and fields, and the empty line.
    ///
    /// - Throws: `.invalidFieldName` or `.invalidFieldValue`; nothing is appended then.
    package static func appendResponseHead(
        _ status: Status,
        _ headers: Headers,
        to output: inout [UInt8]
    ) throws(Failure) {
        try check(headers)
        output += "HTTP/1.1 ".utf8
        output += String(status.code).utf8
        output.append(UInt8(ascii: " "))
        output += status.reasonPhrase.utf8
        output += "\r\n".utf8
        append(headers, to: &output)
    }

    /// Appends a request line and fields, and the empty line.
    ///
    /// - Throws: A `Failure`; nothing is appended then.
    package static func appendRequestHead(_ head: RequestHead, to output: inout [UInt8]) throws(Failure) {
        guard Token.isToken(head.method.rawValue), !head.target.isEmpty,
            head.target.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw .invalidRequestLine }
        try check(head.headers)
        output += head.method.rawValue.utf8
        output.append(UInt8(ascii: " "))
        output += head.target.utf8
        output += head.minorVersion == 0 ? " HTTP/1.0\r\n".utf8 : " HTTP/1.1\r\n".utf8
        append(head.headers, to: &output)
    }

    /// Appends one chunk; nothing for no bytes, since an empty chunk would end the body.
    package static func appendChunk(_ bytes: [UInt8], to output: inout [UInt8]) {
        if bytes.isEmpty { return }
        output += String(bytes.count, radix: 16).utf8
        output += "\r\n".utf8
        output += bytes
        output += "\r\n".utf8
    }

    private static func check(_ headers: Headers) throws(Failure) {
        for field in headers.fields {
            guard Token.isToken(field.name) else { throw .invalidFieldName(field.name) }
            guard field.value.utf8.allSatisfy({ $0 != 0x0D && $0 != 0x0A && $0 != 0 }) else {
                throw .invalidFieldValue(field.name)
            }
        }
    }

    private static func append(_ headers: Headers, to output: inout [UInt8]) {
        for field in headers.fields {
            output += field.name.utf8
            output += ": ".utf8
            output += field.value.utf8
            output += "\r\n".utf8
        }
        output += "\r\n".utf8
    }
}

package import Core

/// Why a message is refused.
///
/// The connection closes after the answer: where the next message starts is not certain.
package enum HTTPParseError: Error, Sendable, Equatable, CaseIterable {
    // Lines
    case bareLineFeed
    case tooManyLeadingEmptyLines
    // Request line (RFC 9112 §3)
    case requestLineTooLong
    case malformedRequestLine
    case invalidMethod
    case invalidTarget
    case unsupportedVersion
    // Status line (RFC 9112 §4)
    case malformedStatusLine
    case tooManyInterimResponses
    // Field lines (RFC 9112 §5)
    case headersTooLarge
    case tooManyHeaders
    case foldedHeader
    case invalidFieldName
    case invalidFieldValue
    case missingHost
    case repeatedHost
    case invalidHost
    case unsupportedExpectation
    // Framing (RFC 9112 §6)
    case repeatedContentLength
    case invalidContentLength
    case lengthWithTransferEncoding
    case unsupportedTransferEncoding
    case transferEncodingInHTTP10
    // Chunks (RFC 9112 §7.1)
    case chunkLineTooLong
    case invalidChunkSize
    case chunkTooLarge
    case invalidChunkExtension
    case missingChunkEnd
    case chunkOverheadTooLarge
    /// The peer closed in the middle of a message.
    case truncated

    /// The status that answers it.
    package var status: Int {
        switch self {
        case .requestLineTooLong: 414
        case .headersTooLarge, .tooManyHeaders: 431
        case .unsupportedExpectation: 417
        case .unsupportedVersion: 505
        default: 400
        }
    }

    private var detail: String {
        switch self {
        case .bareLineFeed: "a line does not end in CRLF"
        case .tooManyLeadingEmptyLines: "too many empty lines before the request line"
        case .requestLineTooLong: "request line: too long"
        case .malformedRequestLine: "request line: not method, target and version with one space between"
        case .invalidMethod: "method: not a token"
        case .invalidTarget: "request target: not in origin form"
        case .unsupportedVersion: "version: only HTTP/1.0 and HTTP/1.1"
        case .malformedStatusLine: "status line: malformed"
        case .tooManyInterimResponses: "too many 1xx responses"
        case .headersTooLarge: "header section: too many bytes"
        case .tooManyHeaders: "header section: too many fields"
        case .foldedHeader: "header section: a line starts with white space"
        case .invalidFieldName: "header section: a field name is not a token followed by a colon"
        case .invalidFieldValue: "header section: a field value has a control character"
        case .missingHost: "Host: missing"
        case .repeatedHost: "Host: repeated"
        case .invalidHost: "Host: not a host with an optional port"
        case .unsupportedExpectation: "Expect: only 100-continue"
        case .repeatedContentLength: "Content-Length: repeated"
        case .invalidContentLength: "Content-Length: not a decimal number in range"
        case .lengthWithTransferEncoding: "Content-Length together with Transfer-Encoding"
        case .unsupportedTransferEncoding: "Transfer-Encoding: only chunked"
        case .transferEncodingInHTTP10: "Transfer-Encoding: not in HTTP/1.0"
        case .chunkLineTooLong: "chunked body: a chunk's first line is too long"
        case .invalidChunkSize: "chunked body: a size is not hexadecimal"
        case .chunkTooLarge: "chunked body: a size is out of range"
        case .invalidChunkExtension: "chunked body: malformed chunk extension"
        case .missingChunkEnd: "chunked body: a chunk does not end in CRLF"
        case .chunkOverheadTooLarge: "chunked body: too many small chunks with long extensions"
        case .truncated: "the message ended early"
        }
    }
}

extension HTTPParseError: ProblemConvertible {
    package var problem: Problem {
        let code: ProblemCode =
            switch status {
            case 414: .tooLarge
            case 431: .headersTooLarge
            case 505: .notImplemented
            default: .badRequest
            }
        return Problem(status, code, detail)
    }
}

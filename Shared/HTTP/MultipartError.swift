package import Core

/// Why a multipart body is refused.
package enum MultipartError: Error, Sendable, Equatable {
    /// No `boundary` of 1 to 70 of the characters that RFC 2046 §5.1.1 allows, without a space at its end.
    case invalidBoundary
    /// Something else than a line's end or `--` follows a boundary.
    case malformedBoundaryLine
    /// A part's header fields are malformed, or over their limit.
    case malformedPartHead(HTTPParseError)
    /// More than this many parts.
    case tooManyParts(countMax: Int)
    /// More than this many bytes before the first boundary or behind the last.
    case tooMuchAroundParts(bytesMax: Int)
    /// The body ends before the last boundary.
    case truncated
}

extension MultipartError: ProblemConvertible {
    /// 400 `malformed_multipart`; 413 `too_large` for too many parts.
    package var problem: Problem {
        switch self {
        case .invalidBoundary: malformed("Content-Type: boundary must have 1 to 70 of the characters of RFC 2046")
        case .malformedBoundaryLine: malformed("body: something follows a boundary on its line")
        case .malformedPartHead(let error): malformed("body: a part's head: \(error.problem.detail)")
        case .tooManyParts(let countMax): Problem(413, .tooLarge, "body: at most \(countMax) parts")
        case .tooMuchAroundParts(let bytesMax): malformed("body: at most \(bytesMax) bytes around the parts")
        case .truncated: malformed("body: ends before its last boundary")
        }
    }

    private func malformed(_ detail: String) -> Problem { Problem(400, .malformedMultipart, detail) }
}

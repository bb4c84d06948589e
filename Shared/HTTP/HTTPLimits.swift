/// What a peer may make a parser hold, in bytes or counts, and the answer beyond it.
package struct HTTPLimits: Sendable, Equatable {
    /// The request line without its CRLF; longer: 414.
    package var requestLineBytesMax = 8 * 1024
    /// All field lines with their CRLFs, without the empty line that ends them; more: 431.
    package var headerBytesMax = 32 * 1024
    /// Field lines; more: 431.
    package var headerCountMax = 100
    /// Empty lines before a request line (RFC 9112 §2.2); more: 400.
    package var leadingEmptyLinesMax = 4
    /// A chunk's size with its extensions, without the CRLF; more: 400.
    package var chunkLineBytesMax = 256
    /// What chunk lines may cost beyond 16 bytes and twice the data a chunk; more: 400.
    ///
    /// It stops one-byte chunks with long extensions from costing hundreds of times what the body limit counts.
    package var chunkOverheadBytesMax = 16 * 1024
    /// The trailer section, counted as the header section is; more: 431.
    package var trailerBytesMax = 4 * 1024
    /// 1xx responses before the final one, for clients; more: the response is refused.
    package var interimResponsesMax = 8

    package init() {}
}

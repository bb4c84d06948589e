import Core
import Crypto

/// `Upload-Checksum`: what the body of one request must hash to, `sha256 base64`.
struct TusChecksum: Sendable, Equatable {
    /// The algorithms; SHA-1 since the protocol requires it, and against damage on the way it does.
    enum Algorithm: String, Sendable, WireWord {
        case sha1
        case sha256

        fileprivate var digestLength: Int { self == .sha1 ? SHA1.digestLength : SHA256.digestLength }
    }

    /// `Tus-Checksum-Algorithm`.
    static let algorithms = Algorithm.allCases.map(\.rawValue).joined(separator: ",")

    let algorithm: Algorithm
    let digest: [UInt8]

    /// - Parameter text: The field's value.
    /// - Throws: 400 for another algorithm or a digest that is none.
    init(_ text: String) throws(Problem) {
        // An algorithm and base64 are ASCII; anything else takes long to split and to compare.
        let parts = text.isASCII ? text.split(separator: " ", omittingEmptySubsequences: false) : []
        guard parts.count == 2 else { throw .badRequest("Upload-Checksum: must be an algorithm and a digest") }
        guard let algorithm = Algorithm(word: parts[0]) else {
            throw .badRequest("Upload-Checksum: the algorithm must be one of \(Self.algorithms)")
        }
        guard let digest = try? Base64.decode(parts[1]), digest.count == algorithm.digestLength else {
            throw .badRequest("Upload-Checksum: the digest must be \(algorithm.digestLength) bytes in base64")
        }
        self.algorithm = algorithm
        self.digest = digest
    }

    /// A hash of the algorithm that is fed as bytes arrive.
    enum Hasher: Sendable {
        case sha1(SHA1)
        case sha256(SHA256)

        init(_ algorithm: Algorithm) {
            self = algorithm == .sha1 ? .sha1(SHA1()) : .sha256(SHA256())
        }

        mutating func update(_ bytes: [UInt8]) {
            switch self {
            case .sha1(var hash):
                hash.update(bytes)
                self = .sha1(hash)
            case .sha256(var hash):
                hash.update(bytes)
                self = .sha256(hash)
            }
        }

        /// The digest of everything taken so far.
        func digest() -> [UInt8] {
            switch self {
            case .sha1(var hash): hash.finalize()
            case .sha256(var hash): hash.finalize()
            }
        }
    }
}

import Crypto
import Glibc

/// `trash/{sha256}.{token}`: blobs that go unless a record turns out to have them.
///
/// Whoever removes a blob moves it here first, then asks the index (`FileIndex.condemn`), then unlinks it or puts it
/// back. Each has a name of its own, so whoever finds one that was left may do the same with it at any time.
extension BlobStore {
    /// A blob under its name in the trash.
    struct Trash: Sendable, Equatable {
        let sha256: String
        let path: String
    }

    /// Looks for a blob while others move it: so often.
    private static let looksMax = 3

    /// Takes a blob away; readers that have it open keep it, and others find it where it is.
    ///
    /// - Returns: `nil` if it is not there.
    func moveToTrash(sha256: String) async throws -> Trash? {
        let path = path(sha256)
        let trash = Trash(sha256: sha256, path: "\(trashDirectory)/\(sha256).\(SecureRandom.token(bytes: 8))")
        return try await onDisk {
            do {
                try SystemCall.check("rename", path) { rename(path, trash.path) }
                return trash
            } catch FilesError.systemCall(_, _, ENOENT) {
                return nil
            }
        }
    }

    /// Gives a blob its name again, durably, unless another file of the same content has it.
    func putBack(_ trash: Trash) async throws {
        let (path, shard) = (path(trash.sha256), shard(trash.sha256))
        try await onDisk {
            do { try SystemCall.check("link", path) { link(trash.path, path) } } catch FilesError.systemCall(
                _,
                _,
                let code
            ) where code == EEXIST || code == ENOENT {
                // It is there; or somebody else has dealt with it.
            }
            try SystemCall.synchronizeDirectory(shard)
            _ = try SystemCall.unlinkIfPresent(trash.path)
        }
    }

    /// Removes a blob for good.
    func discard(_ trash: Trash) async throws {
        _ = try await onDisk { try SystemCall.unlinkIfPresent(trash.path) }
    }

    /// What lies in the trash.
    func trash() async throws -> [Trash] {
        let directory = trashDirectory
        return try await onDisk {
            try SystemCall.names(in: directory).map { name in
                Trash(sha256: String(name.prefix { $0 != "." }), path: "\(directory)/\(name)")
            }
        }
    }

    /// Opens a blob by whatever name it has just now; on a disk thread.
    func find(_ sha256: String) throws -> DescriptorOwner? {
        for _ in 0..<Self.looksMax {
            if let blob = try Self.openIfPresent(path(sha256)) { return blob }
            for name in try SystemCall.names(in: trashDirectory) where name.hasPrefix(sha256) {
                if let blob = try Self.openIfPresent("\(trashDirectory)/\(name)") { return blob }
            }
        }
        return nil
    }

    private static func openIfPresent(_ path: String) throws -> DescriptorOwner? {
        do {
            return DescriptorOwner(try SystemCall.check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) })
        } catch FilesError.systemCall(_, _, ENOENT) {
            return nil
        }
    }

    /// Where the trash is.
    var trashDirectory: String { directory + "/trash" }
}

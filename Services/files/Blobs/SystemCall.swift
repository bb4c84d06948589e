import Core
import Glibc

/// File system calls with their failures as errors.
enum SystemCall {
    /// Runs a call that returns a negative number on failure, again while it is interrupted.
    ///
    /// - Parameters:
    ///   - name: The call, for the error.
    ///   - path: What it is about, for the error.
    ///   - body: The call.
    /// - Throws: `FilesError.storageFull` for ENOSPC and EDQUOT, else `.systemCall`.
    @discardableResult
    static func check<Value: SignedInteger>(_ name: String, _ path: String, _ body: () -> Value) throws -> Value {
        while true {
            let result = body()
            if result >= 0 { return result }
            switch errno {
            case EINTR: continue
            case ENOSPC, EDQUOT: throw FilesError.storageFull
            default: throw FilesError.systemCall(name, path: path, errno: errno)
            }
        }
    }

    /// Bytes of an open file: as many as asked for, or fewer where it ends.
    static func read(_ descriptor: Int32, offset: Int, count wanted: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            count = try check("pread", "blob") { pread(descriptor, buffer.baseAddress, wanted, off_t(offset)) }
        }
    }

    /// The first `countMax` bytes of a file; `nil` if it is not there.
    static func contents(_ path: String, countMax: Int) throws -> [UInt8]? {
        do {
            let file = DescriptorOwner(try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
            return try read(file.descriptor, offset: 0, count: countMax)
        } catch FilesError.systemCall(_, _, ENOENT) {
            return nil
        }
    }

    /// Makes or replaces a small file for the owner only, which is there as a whole or not at all.
    ///
    /// - Parameter directory: Where `path` is.
    static func replace(_ path: String, in directory: String, with bytes: [UInt8]) throws {
        let draft = path + ".new"
        do {
            let file = DescriptorOwner(
                try check("open", draft) { open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
            )
            let written = try check("write", draft) { write(file.descriptor, bytes, bytes.count) }
            guard written == bytes.count else { throw FilesError.storageFull }
            try check("fsync", draft) { fsync(file.descriptor) }
        }
        try check("rename", path) { rename(draft, path) }
        try synchronizeDirectory(directory)
    }

    /// Makes a directory for the owner only, unless it is there.
    ///
    /// - Returns: Whether it was not.
    @discardableResult
    static func makeDirectory(_ path: String) throws -> Bool {
        do {
            try check("mkdir", path) { mkdir(path, 0o700) }
            return true
        } catch FilesError.systemCall(_, _, EEXIST) {
            return false
        }
    }

    /// Removes a file.
    ///
    /// - Returns: Whether it was there.
    static func unlinkIfPresent(_ path: String) throws -> Bool {
        do {
            try check("unlink", path) { unlink(path) }
            return true
        } catch FilesError.systemCall(_, _, ENOENT) {
            return false
        }
    }

    /// What the system says of a file; `nil` if it is not there.
    static func status(_ path: String) throws -> stat? {
        var status = stat()
        do {
            try check("stat", path) { stat(path, &status) }
            return status
        } catch FilesError.systemCall(_, _, ENOENT) {
            return nil
        }
    }

    /// When a file's content was changed last.
    static func modifiedAt(_ status: stat) -> Timestamp {
        Timestamp(milliseconds: Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000)
    }

    /// Makes the names in a directory durable.
    static func synchronizeDirectory(_ path: String) throws {
        let descriptor = try check("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        try check("fsync", path) { fsync(descriptor) }
    }

    /// The names in a directory, without `.` and `..`.
    static func names(in path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw FilesError.systemCall("opendir", path: path, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

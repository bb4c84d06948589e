import Glibc

/// The room that uploads leave free on the disk: others need it too, above all a Redis, which ends without any.
struct RoomKept {
    /// Bytes written at most from one look to the next: on a network's file system each is a question to its server.
    static let interval = 1 << 20

    private let bytesMin: Int
    private var bytesSinceLook = RoomKept.interval

    /// - Parameter bytesMin: What is left free; 0: nothing.
    init(_ bytesMin: Int) { self.bytesMin = bytesMin }

    /// The next bytes come after a look.
    mutating func forget() { bytesSinceLook = Self.interval }

    /// Bytes are about to be written to an open file.
    ///
    /// - Throws: `FilesError.storageFull` when less is free than is to be left.
    mutating func check(_ count: Int, _ descriptor: Int32, _ path: String) throws {
        guard bytesMin > 0 else { return }
        bytesSinceLook += count
        guard bytesSinceLook >= Self.interval else { return }
        guard try SystemCall.freeBytes(descriptor, path) >= bytesMin else { throw FilesError.storageFull }
        bytesSinceLook = 0
    }
}

extension SystemCall {
    /// What is free for this process on the file system of an open file, in bytes.
    static func freeBytes(_ descriptor: Int32, _ path: String) throws -> Int {
        var status = statvfs()
        try check("fstatvfs", path) { fstatvfs(descriptor, &status) }
        let (bytes, isTooLarge) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        return isTooLarge ? .max : bytes
    }
}

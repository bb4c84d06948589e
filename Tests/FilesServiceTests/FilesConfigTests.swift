import ServiceKit
import Testing

@testable import FilesService

@Suite("Files settings")
struct FilesConfigTests {
    @Test("blobs and metadata lie under data_dir unless a directory of their own is given")
    func directories() throws {
        let plain = FilesConfig(try .development(["data_dir": "/srv/chat", "store": "sqlite:/srv/db"]))
        #expect(plain.directory == "/srv/chat/files")
        #expect(plain.databasePath == "/srv/db/files.sqlite")
        let own = FilesConfig(try .development(["files.directory": "/blobs", "data_dir": "/srv/chat"]))
        #expect(own.directory == "/blobs")
        let redis = FilesConfig(try .development(["store": "redis://localhost:6379", "data_dir": "/srv/chat"]))
        #expect(redis.databasePath == "/srv/chat/files.sqlite")
    }

    @Test("the default limit is 50 MiB, and the server lets its base64 pass")
    func limits() throws {
        let config = FilesConfig(try .development())
        #expect(config.limits.base64BytesMax == 52_428_800)
        #expect(config.bodyBytesMax > 52_428_800 / 3 * 4)
    }
}

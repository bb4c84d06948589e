import Contracts
import ServiceKit
import Testing

@testable import FilesService

@Suite("Files settings")
struct FilesConfigTests {
    @Test("blobs lie under data_dir unless a directory of their own is given, which instances on one Redis share")
    func directories() throws {
        let plain = FilesConfig(try .development(["data_dir": "/srv/chat", "store": "sqlite:/srv/db"]))
        #expect(plain.directory == "/srv/chat/files" && plain.sharing == .exclusive)
        let own = FilesConfig(try .development(["files.directory": "/blobs", "data_dir": "/srv/chat"]))
        #expect(own.directory == "/blobs")
        let redis = FilesConfig(try .development(["store": "redis://localhost:6379", "data_dir": "/srv/chat"]))
        #expect(redis.directory == "/srv/chat/files" && redis.sharing == .instances)
    }

    @Test("the default limit is 50 MiB, and the server lets its base64 pass")
    func limits() throws {
        let config = FilesConfig(try .development())
        #expect(config.limits.base64BytesMax == 52_428_800)
        #expect(config.limits.bodyBytesMax > 52_428_800 / 3 * 4)
        #expect(config.limits.bodyBytesMax > config.limits.fileBytesMax)
        #expect(UploadFormDecoder.bodyBytesMax(fileBytesMax: 0) < 1 << 20)
    }

    @Test("no limit is larger than that of all files")
    func smallFiles() throws {
        let config = FilesConfig(try .development(["files.file_bytes_max": "1000", "files.voice_bytes_max": "10"]))
        #expect(config.limits.base64BytesMax == 1000)
        #expect(FileType.allCases.map(config.limits.bytesMax) == [1000, 1000, 10, 1000])
    }
}

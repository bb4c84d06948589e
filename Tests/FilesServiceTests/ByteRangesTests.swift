import Testing

@testable import FilesService

@Suite("Byte ranges (RFC 9110 §14)")
struct ByteRangesTests {
    @Test(
        "reads single ranges",
        arguments: [
            ("bytes=0-0", 0..<1), ("bytes=0-499", 0..<500), ("bytes=500-999", 500..<1000), ("bytes=500-", 500..<1000),
            ("bytes=-500", 500..<1000), ("bytes=-1", 999..<1000), ("bytes=999-", 999..<1000), ("bytes=0-", 0..<1000),
            ("bytes=990-5000", 990..<1000), ("bytes=-5000", 0..<1000), ("BYTES= 1-2 ", 1..<3), ("bytes=,1-2,", 1..<3),
            ("bytes=0-99999999999999999999999", 0..<1000), ("bytes=-99999999999999999999999", 0..<1000),
        ]
    )
    func single(_ field: String, _ expected: Range<Int>) {
        #expect(ByteRanges(field, size: 1000) == .parts([expected]))
    }

    @Test(
        "keeps the order of several, merges those that overlap or touch, leaves out those past the end",
        arguments: [
            ("bytes=0-1,5-6", [0..<2, 5..<7]), ("bytes=500-600,0-1", [500..<601, 0..<2]), ("bytes=0-1,2-3", [0..<4]),
            ("bytes=0-9,5-19", [0..<20]), ("bytes=0-1,4-5,1-4", [0..<6]), ("bytes=0-0,2000-", [0..<1]),
            ("bytes=0-0,-1", [0..<1, 999..<1000]), ("bytes=10-11,0-1,1-10", [0..<12]),
        ]
    )
    func several(_ field: String, _ expected: [Range<Int>]) {
        #expect(ByteRanges(field, size: 1000) == .parts(expected))
    }

    @Test("says when no byte exists", arguments: ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0"])
    func unsatisfiable(_ field: String) {
        #expect(ByteRanges(field, size: 1000) == .unsatisfiable)
    }

    @Test(
        "ignores what it does not understand",
        arguments: [
            "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=2-1", "bytes=1-2-3", "bytes=+1-2", "bytes=1 -2",
            "lines=1-2", "bytes=1-2,x", "bytes 0-1", "bytes=0x1-2", "bytes=--1",
        ]
    )
    func ignored(_ field: String) {
        #expect(ByteRanges(field, size: 1000) == .whole)
    }

    @Test("ignores a request for more ranges than the limit")
    func limit() {
        func field(_ count: Int) -> String {
            "bytes=" + (0..<count).map { "\($0 * 10)-\($0 * 10)" }.joined(separator: ",")
        }
        guard case .parts(let parts) = ByteRanges(field(16), size: 1000) else {
            Issue.record("16 ranges were refused")
            return
        }
        #expect(parts.count == 16)
        #expect(ByteRanges(field(17), size: 1000) == .whole)
    }

    @Test("without the field it is the whole file")
    func absent() {
        #expect(ByteRanges(nil, size: 1000) == .whole)
    }
}

import HTTP
import Testing

@testable import FilesService

@Suite("Entity tag and conditions (RFC 9110 §13)")
struct EntityTagTests {
    private let tag = EntityTag(sha256: "ab")

    @Test(
        "If-None-Match compares weakly",
        arguments: [
            (#""ab""#, true), (#"W/"ab""#, true), ("*", true), (#""x", "ab""#, true), (#""x""#, false), ("ab", false),
            (#""x, *, y""#, false),
        ]
    )
    func ifNoneMatch(_ field: String, _ expected: Bool) {
        #expect(tag.isNamedByIfNoneMatch(["If-None-Match": field]) == expected)
    }

    @Test(
        "If-Range wants the very tag, and no date",
        arguments: [(#""ab""#, true), (#"W/"ab""#, false), (#""x""#, false), ("Wed, 21 Oct 2015 07:28:00 GMT", false)]
    )
    func ifRange(_ field: String, _ expected: Bool) {
        #expect(tag.allowsRange(["If-Range": field]) == expected)
    }

    @Test(
        "If-Match fails for another tag",
        arguments: [
            (#""ab""#, false), ("*", false), (#""x", "ab""#, false), (#""x""#, true), (#"W/"ab""#, true),
            (#""x, *, y""#, true),
        ]
    )
    func ifMatch(_ field: String, _ expected: Bool) {
        #expect(tag.failsIfMatch(["If-Match": field]) == expected)
    }

    @Test("conditions that are absent change nothing")
    func absent() {
        #expect(tag.allowsRange([:]) && !tag.isNamedByIfNoneMatch([:]) && !tag.failsIfMatch([:]))
    }
}

import TestSupport
import Testing

@testable import GatewayService

@Suite("Delivery state: what a connection is sent, and when")
struct DeliveryStateTests {
    private static func position(_ name: String, _ delivered: Int, _ head: Int) -> MemberPosition {
        MemberPosition(conversationID: name, delivered: delivered, head: head)
    }

    /// A state placed at these positions, its reads answered by nobody yet.
    private static func placed(_ positions: [MemberPosition]) -> DeliveryState {
        var state = DeliveryState(awaitsSync: false)
        _ = state.place(positions)
        return state
    }

    @Test("nothing is sent before the positions are there; then what lies past them is read")
    func placing() {
        var state = DeliveryState(awaitsSync: false)
        #expect(state.offer("c:u", 4) == .behind(needsRead: true))
        #expect(state.nextRead() == nil)
        #expect(state.place([Self.position("c:u", 2, 3)]) == [])
        #expect(state.nextRead() == .entries("c:u", after: 2))
        #expect(state.nextRead() == nil, "one read at a time")
        #expect(state.takeRead("c:u", 3) == .send)
        #expect(state.takeRead("c:u", 4) == .send)
        #expect(state.endPage("c:u", isEmpty: false) == [])
        #expect(!state.wantsRead)
        #expect(state.offer("c:u", 5) == .send(isFirstMove: false))
    }

    @Test("conversations are read one after the other, each a page at a time")
    func oneReadAtATime() {
        var state = Self.placed([Self.position("c:a", 0, 2), Self.position("c:b", 0, 1)])
        var read: [String] = []
        while case .entries(let name, let after) = state.nextRead() {
            read.append(name)
            #expect(!state.wantsRead)
            #expect(state.nextRead() == nil)
            #expect(state.takeRead(name, after + 1) == .send)
            #expect(state.endPage(name, isEmpty: false) == [])
        }
        // One with more to come waits its turn again.
        #expect(read == ["c:a", "c:b", "c:a"] || read == ["c:b", "c:a", "c:a"])
    }

    @Test("what was committed while a page was read comes by its own offer, once")
    func pageRunsAhead() {
        var state = Self.placed([Self.position("c:u", 0, 2)])
        _ = state.nextRead()
        for sequence in 1...2 { #expect(state.takeRead("c:u", sequence) == .send) }
        #expect(state.takeRead("c:u", 3) == .skip, "not known to be this user's yet")
        #expect(state.endPage("c:u", isEmpty: false) == [])
        #expect(state.offer("c:u", 3) == .send(isFirstMove: false))
    }

    @Test("an Ack waits for its entry's place, and goes at once when that is passed (R7)")
    func acknowledgementPlace() {
        var state = Self.placed([Self.position("c:u", 1, 1)])
        #expect(state.offer("c:u", 3) == .behind(needsRead: true))
        state.keep([3], for: "c:u", 3)
        #expect(state.nextRead() == .entries("c:u", after: 1))
        #expect(state.takeRead("c:u", 2) == .send)
        #expect(state.takeRead("c:u", 3) == .acknowledge([[3]]))
        #expect(state.endPage("c:u", isEmpty: false) == [])
        #expect(state.offerRepeat("c:u", 3) == true)
        #expect(state.offerRepeat("c:u", 1) == true)
        #expect(state.offerRepeat("c:u", 4) == false)
    }

    @Test("a gap that hints may fill is not read; when they have, the Acks behind it follow")
    func gapFilledByHints() {
        var state = Self.placed([Self.position("c:u", 1, 1)])
        for sequence in [4, 5] {
            #expect(state.offer("c:u", sequence, mayBeFilled: true) == .behind(needsRead: true))
            state.keep([UInt8(sequence)], for: "c:u", sequence)
        }
        #expect(state.hasGaps)
        #expect(state.nextRead() == nil)
        #expect(state.reach(of: "c:u", to: 3, from: 2, spanMax: 200) == .atHand)
        #expect(state.offer("c:u", 2, mayBeFilled: true) == .send(isFirstMove: true))
        #expect(state.takeNextWaiting("c:u").isEmpty, "3 is still missing")
        #expect(state.offer("c:u", 3, mayBeFilled: true) == .send(isFirstMove: false))
        #expect(state.takeNextWaiting("c:u") == [[4]])
        #expect(state.takeNextWaiting("c:u") == [[5]])
        #expect(state.takeNextWaiting("c:u").isEmpty)
        for _ in 0..<2 { state.readGaps() }
        #expect(!state.hasGaps)
        #expect(!state.wantsRead)
        #expect(state.waitingAckCount == 0)
    }

    @Test("each Ack that waits for a place goes there: another frame may have asked for the same entry")
    func severalAcksOfAPlace() {
        var state = Self.placed([Self.position("c:u", 1, 1)])
        _ = state.offer("c:u", 3, mayBeFilled: true)
        for acknowledgement in [[3], [33]] as [[UInt8]] { state.keep(acknowledgement, for: "c:u", 3) }
        #expect(state.waitingAckCount == 2)
        _ = state.offer("c:u", 2)
        #expect(state.takeNextWaiting("c:u") == [[3], [33]])
        #expect(state.waitingAckCount == 0)
    }

    @Test("a gap that no hint fills is read at the second look; one that fills slowly, two looks after it last did")
    func gapReadAfterWaiting() {
        var state = Self.placed([Self.position("c:u", 1, 1)])
        _ = state.offer("c:u", 9, mayBeFilled: true)
        state.keep([9], for: "c:u", 9)
        state.readGaps()
        #expect(!state.wantsRead)
        _ = state.offer("c:u", 2, mayBeFilled: true)
        state.readGaps()
        #expect(!state.wantsRead, "something came meanwhile")
        #expect(state.hasGaps)
        for _ in 0..<2 { state.readGaps() }
        #expect(state.nextRead() == .entries("c:u", after: 2))
        #expect(state.offer("c:u", 3, mayBeFilled: true) == .behind(needsRead: false), "what is read comes by it")
        #expect(state.takeNextWaiting("c:u").isEmpty)
        for sequence in 3...8 { #expect(state.takeRead("c:u", sequence) == .send) }
        #expect(state.takeRead("c:u", 9) == .acknowledge([[9]]))
        #expect(state.endPage("c:u", isEmpty: false) == [])
        state.readGaps()
        #expect(!state.hasGaps)
    }

    @Test("a conversation of which no position is known is read at once, hints or not")
    func gapWithoutPosition() {
        var state = Self.placed([])
        #expect(state.offer("c:new", 3, mayBeFilled: true) == .behind(needsRead: true))
        #expect(!state.hasGaps)
        #expect(state.nextRead() == .position("c:new"))
    }

    @Test("before Sync a retry's Ack waits; a cursor past it lets it go (R7)")
    func retryBeforeSync() {
        for (cursor, isPassed) in [(5, true), (4, false)] {
            var state = DeliveryState(awaitsSync: true)
            #expect(state.offerRepeat("c:u", 5) == false)
            state.keep([5], for: "c:u", 5)
            #expect(!state.wantsRead)
            #expect(state.beginSync() == true)
            let outputs = state.sync(
                [SyncCursor(conversationID: "c:u", sequence: cursor)],
                [Self.position("c:u", 0, 6)],
                isOwn: { _ in true }
            )
            #expect(outputs == (isPassed ? [.acknowledgement([5])] : []))
            _ = state.nextRead()
            #expect(state.takeRead("c:u", 5) == (isPassed ? .skip : .acknowledge([[5]])))
        }
    }

    @Test("Sync: once, and only where it was announced")
    func syncOnce() {
        var plain = DeliveryState(awaitsSync: false)
        #expect(plain.beginSync() == false)
        var state = DeliveryState(awaitsSync: true)
        #expect(state.beginSync() == true)
        #expect(state.beginSync() == false)
        #expect(state.sync([], [], isOwn: { _ in false }) == [.synced(heads: [])])
        #expect(state.beginSync() == false)
    }

    @Test("Sync: cursors decide, conversations not named start at the delivered position, Synced comes after all of it")
    func syncPositions() {
        var state = DeliveryState(awaitsSync: true)
        _ = state.beginSync()
        let outputs = state.sync(
            [SyncCursor(conversationID: "c:a", sequence: 1), SyncCursor(conversationID: "c:z", sequence: 0)],
            [Self.position("c:a", 3, 3), Self.position("c:b", 1, 2), Self.position("c:d", 7, 7)],
            isOwn: { $0 == "c:z" }
        )
        #expect(outputs == [])
        var sent: [String: [Int]] = [:]
        var ends: [[DeliveryState.Output]] = []
        while case .entries(let name, let after) = state.nextRead() {
            for sequence in after + 1...after + 5 where state.takeRead(name, sequence) == .send {
                sent[name, default: []].append(sequence)
            }
            ends.append(state.endPage(name, isEmpty: false) ?? [])
        }
        #expect(sent == ["c:a": [2, 3], "c:b": [2]])
        let heads = [("c:a", 3), ("c:b", 2), ("c:d", 7)].map {
            DeliveryState.Head(conversationID: $0.0, head: $0.1)
        }
        #expect(ends == [[], [.synced(heads: heads)]])
    }

    @Test("Sync: foreign conversations and cursors out of range are refused one by one; the rest goes on")
    func refusedCursors() {
        var state = DeliveryState(awaitsSync: true)
        _ = state.beginSync()
        let cursors = [("c:x", 0), ("c:a", 4), ("c:a", -1), ("c:own", 1)]
        let outputs = state.sync(
            cursors.map { SyncCursor(conversationID: $0.0, sequence: $0.1) },
            [Self.position("c:a", 2, 3)],
            isOwn: { $0 == "c:own" }
        )
        #expect(
            outputs == [
                .refusedCursor(conversationID: "c:x", isForeign: true, head: 0),
                .refusedCursor(conversationID: "c:a", isForeign: false, head: 3),
                .refusedCursor(conversationID: "c:a", isForeign: false, head: 3),
                .refusedCursor(conversationID: "c:own", isForeign: false, head: 0),
            ]
        )
        #expect(state.nextRead() == .entries("c:a", after: 2), "as if it had not been named")
    }

    @Test("Sync: more than 1,000 behind, the Gap names exactly what is left out")
    func gap() {
        for (cursor, gap) in [(1000, nil), (999, 1000...1000), (0, 1...1000)] as [(Int, ClosedRange<Int>?)] {
            var state = DeliveryState(awaitsSync: true)
            _ = state.beginSync()
            let outputs = state.sync(
                [SyncCursor(conversationID: "c:a", sequence: cursor)],
                [Self.position("c:a", 0, 2000)],
                isOwn: { _ in false }
            )
            #expect(
                outputs
                    == (gap.map { [.gap(conversationID: "c:a", from: $0.lowerBound, to: $0.upperBound)] } ?? [])
            )
            #expect(state.nextRead() == .entries("c:a", after: 1000))
        }
    }

    @Test("a conversation that never was the user's keeps no Ack back")
    func neverMember() {
        var state = Self.placed([])
        #expect(state.offerRepeat("c:u", 5) == false)
        state.keep([5], for: "c:u", 5)
        #expect(state.nextRead() == .position("c:u"))
        #expect(state.takePosition("c:u", nil) == [.acknowledgement([5])])
        #expect(state.waitingAckCount == 0)
        #expect(!state.knows("c:u"))
    }

    @Test("a conversation that began later begins where the membership did, whatever another device has taken")
    func membershipOfLater() {
        var state = Self.placed([])
        #expect(state.offer("c:u", 3) == .behind(needsRead: true))
        #expect(state.nextRead() == .position("c:u"))
        let position = MemberPosition(conversationID: "c:u", delivered: 3, head: 3, start: 1)
        #expect(state.takePosition("c:u", position) == [])
        #expect(state.nextRead() == .entries("c:u", after: 1))

        // One that has ended meanwhile may be an old one: no more of it than was told of.
        var late = Self.placed([])
        late.note("c:u", head: 3)
        _ = late.nextRead()
        var ended = position
        ended.hasEnded = true
        #expect(late.takePosition("c:u", ended) == [])
        #expect(late.nextRead() == .entries("c:u", after: 2))
    }

    @Test("a membership's last entry is asked for by name until it was sent, and not after")
    func unsettled() {
        var state = Self.placed([Self.position("c:u", 0, 2)])
        _ = state.nextRead()
        for sequence in 1...2 { #expect(state.takeRead("c:u", sequence) == .send) }
        _ = state.endPage("c:u", isEmpty: false)
        #expect(state.unsettled == ["c:u"])
        state.note(MemberPosition(conversationID: "c:u", delivered: 3, head: 3, hasEnded: true))
        #expect(state.nextRead() == .entries("c:u", after: 2))
        #expect(state.unsettled == ["c:u"])
        #expect(state.takeRead("c:u", 3) == .send)
        _ = state.endPage("c:u", isEmpty: false)
        #expect(state.unsettled == [])
        // A member again.
        #expect(state.offer("c:u", 5) == .behind(needsRead: true))
        #expect(state.unsettled == ["c:u"])
        // Nothing of one is owed that is new here and was taken to its end.
        state.note(MemberPosition(conversationID: "c:v", delivered: 7, head: 7, hasEnded: true))
        #expect(!state.knows("c:v"))
    }

    @Test("entries that are known and not there end the connection")
    func missingEntries() {
        var state = Self.placed([Self.position("c:u", 0, 2)])
        _ = state.nextRead()
        let end = state.endPage("c:u", isEmpty: true)
        #expect(end == nil)
    }

    @Test("pongs move positions only for clients that do not Sync")
    func pongs() {
        var state = Self.placed([Self.position("c:u", 0, 0)])
        #expect(state.offer("c:u", 1) == .send(isFirstMove: true))
        #expect(state.wantsPing)
        state.coverByPing()
        #expect(state.isPingOpen)
        #expect(state.offer("c:u", 2) == .send(isFirstMove: true))
        #expect(state.takePong() == [DeliveryState.Head(conversationID: "c:u", head: 1)])
        #expect(state.wantsPing)

        var synced = DeliveryState(awaitsSync: true)
        _ = synced.beginSync()
        _ = synced.sync([], [Self.position("c:u", 0, 0)], isOwn: { _ in false })
        #expect(synced.offer("c:u", 1) == .send(isFirstMove: true))
        #expect(!synced.wantsPing)
    }
}

import Synchronization

/// The files of uploads in parts, with what is hashed of them.
///
/// One that is dropped costs reading its file again, no more, so the table is bounded by dropping those not used for
/// the longest.
final class PartialFileTable: Sendable {
    /// The most files that are remembered while nobody writes to them.
    static let countMax = 4096

    private struct Entry {
        let file: PartialFile
        var lastUse: Int
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var uses = 0
    }

    private let blobs: BlobStore
    private let state = Mutex(State())

    init(_ blobs: BlobStore) { self.blobs = blobs }

    /// The file of an upload; the same one for all who ask while it is remembered.
    func file(_ id: String) -> PartialFile {
        state.withLock { state in
            state.uses += 1
            if let known = state.entries[id] {
                state.entries[id]?.lastUse = state.uses
                return known.file
            }
            if state.entries.count >= Self.countMax { Self.dropOldest(&state) }
            let file = blobs.makePartialFile(id)
            state.entries[id] = Entry(file: file, lastUse: state.uses)
            return file
        }
    }

    /// The upload is over.
    func forget(_ id: String) { state.withLock { $0.entries[id] = nil } }

    /// Drops an eighth at once, so that the search for them is rare.
    ///
    /// A file that somebody writes to lives on with its writer: who asks for it meanwhile gets one of their own, which
    /// sees the same bytes.
    private static func dropOldest(_ state: inout State) {
        let uses = state.entries.values.map(\.lastUse).sorted()
        let bound = uses[uses.count / 8]
        state.entries = state.entries.filter { $0.value.lastUse > bound }
    }
}

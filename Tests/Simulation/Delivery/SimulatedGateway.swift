import Contracts
import Core

/// A gateway: its own state machines, and what is between them and the network.
struct SimulatedGateway {
    /// A connected device, as the gateway sees it.
    struct Session {
        let connection: Int
        let identity: Identity
        var delivery = DeliveryState(awaitsSync: true)
        /// What was read while own entries were on their way to the log.
        var heldPage: (conversation: String, after: Int, last: Int)?
        /// When its gaps are looked at next.
        var gapsAt: Int64?
    }

    /// What the log is to do; answered in order.
    struct AppendRequest {
        /// Whose message it is; `nil` for the system.
        let connection: Int?
        let conversation: Int
        let kind: EntryKind
        let sender: String
        let senderType: UserType?
        let addressee: String?
        let clientID: String
    }

    /// A read of the log, and what it is for.
    enum Read {
        case sync(connection: Int, [SyncCursor])
        case next(connection: Int, DeliveryState.Read)
        /// For all connections that need the same.
        case shared(conversation: String, after: Int)
        case heads(String)
    }

    /// What was there when the log read it.
    enum ReadAnswer {
        case sync(connection: Int, [SyncCursor], [MemberPosition])
        case position(connection: Int, conversation: String, MemberPosition?)
        case entries(connection: Int, conversation: String, after: Int, last: Int)
        case shared(conversation: String, after: Int, last: Int)
        case heads(String, [MemberPosition])
        /// A user's heads could not be read.
        case failed(String)
    }

    static let heartbeatMilliseconds: Int64 = 600
    static let gapMilliseconds: Int64 = 25

    let id: String
    var incarnation = 1
    var isUp = true
    var sessions: [Session] = []
    var events = PresenceQueue()
    var router: HintRouter
    var reads = HeadReads()
    var hintReads = HintReads()
    var heartbeatAt: Int64
    var isHeartbeatUnderWay = false
    var isBatchUnderWay = false
    /// With `foreignJoinAnswer`: the connections whose joins were taken for answered.
    var answered: Set<Int> = []
    var appends: [AppendRequest] = []
    var appended: [(AppendRequest, SimulatedLog.Appended)] = []
    var readsDue: [Read] = []
    var readAnswers: [ReadAnswer] = []

    init(id: String, now: Int64) {
        self.id = id
        router = HintRouter(ownID: id)
        heartbeatAt = now
    }

    /// The users who are connected.
    var userIDs: [String] { Array(Set(sessions.map(\.identity.userID))).sorted() }

    func index(of connection: Int) -> Int? { sessions.firstIndex { $0.connection == connection } }

    /// Killed, and not yet started again: everything in memory is gone.
    mutating func kill(now: Int64) {
        let next = incarnation + 1
        self = SimulatedGateway(id: id, now: now)
        incarnation = next
        isUp = false
    }

    /// Whether nobody else can have committed anything, or have anybody, that matters here.
    func isAlone(_ now: Int64) -> Bool { now < router.list.aloneUntil }
}

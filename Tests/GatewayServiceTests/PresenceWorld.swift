import Contracts
import Core

@testable import GatewayService

/// Presence as gateways know it, over several gateways (DESIGN R3, R4).
struct PresenceWorld {
    struct Conflict: Error {}

    private struct Registered {
        let number: Int
        let incarnation: String
        let url: String
        var heardAt: Int64
        var nextEvent = 1
        var hasAnnounced = false
        var users: Set<String> = []
        var named: Set<String>?
    }

    let lease: Int
    let silence: Int64
    private var epoch = 1
    private var nextNumber = 100
    private var registered: [String: Registered] = [:]

    init(lease: Int, silence: Int64) {
        self.lease = lease
        self.silence = silence
    }

    /// It starts anew, and knows nobody.
    mutating func restart() {
        epoch += 1
        registered = [:]
    }

    func users(of gatewayID: String) -> Set<String> { registered[gatewayID]?.users ?? [] }

    func registration(of gatewayID: String) -> Int? { registered[gatewayID]?.number }

    private mutating func expire(_ now: Int64) {
        registered = registered.filter { now - $0.value.heardAt < silence }
    }

    mutating func heartbeat(
        _ gatewayID: String,
        incarnation: String,
        url: String = "http://127.0.0.1:1",
        now: Int64
    ) -> GatewayRegistration {
        expire(now)
        if registered[gatewayID]?.incarnation != incarnation {
            nextNumber += 1
            registered[gatewayID] = Registered(number: nextNumber, incarnation: incarnation, url: url, heardAt: now)
        }
        registered[gatewayID]?.heardAt = now
        return GatewayRegistration(
            presenceEpoch: "e\(epoch)",
            registration: registered[gatewayID]?.number,
            gateways: registered.sorted { $0.key < $1.key }.map {
                GatewayPeer(gatewayID: $0.key, url: $0.value.url, registration: $0.value.number, draining: false)
            },
            leaseMilliseconds: lease
        )
    }

    /// The gateway is drained.
    mutating func end(_ gatewayID: String) { registered[gatewayID] = nil }

    mutating func apply(_ batch: PresenceEvents, now: Int64) throws(Conflict) {
        expire(now)
        guard var gateway = registered[batch.gatewayID], gateway.number == batch.registration else { throw Conflict() }
        if batch.events.first?.kind == .announceBegin {
            gateway.hasAnnounced = true
        } else {
            guard gateway.hasAnnounced, batch.first <= gateway.nextEvent else { throw Conflict() }
        }
        for event in batch.events.dropFirst(max(gateway.nextEvent - batch.first, 0)) {
            let user = event.userID ?? ""
            switch event.kind {
            case .announceBegin: gateway.named = []
            case .announceEnd:
                if let named = gateway.named { gateway.users.formIntersection(named) }
                gateway.named = nil
            case .join:
                gateway.users.insert(user)
                gateway.named?.insert(user)
            case .leave:
                gateway.users.remove(user)
                gateway.named?.remove(user)
            }
        }
        gateway.nextEvent = max(gateway.nextEvent, batch.first + batch.events.count)
        gateway.heardAt = now
        registered[batch.gatewayID] = gateway
    }

    mutating func locate(_ userIDs: [String], now: Int64) -> Locations {
        expire(now)
        let places = userIDs.map { user in
            (user, registered.filter { $0.value.users.contains(user) }.keys.sorted())
        }
        return Locations(
            locations: Dictionary(places) { first, _ in first },
            leaseMilliseconds: lease
        )
    }
}

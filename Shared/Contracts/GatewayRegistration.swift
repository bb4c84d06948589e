/// `POST /internal/gateways/{id}` (presence): registration, and then a heartbeat.
///
/// ```json
/// {"url":"http://127.0.0.1:6004","incarnation":"Zk2f","connections":12,"draining":false}
/// ```
package struct GatewayAnnouncement: Codable, Sendable, Equatable {
    /// Where other gateways reach this one.
    package var url: String
    /// Fresh at every start of the process.
    package var incarnation: String
    /// 0 while draining ends the registration.
    package var connections: Int
    package var draining: Bool

    package init(url: String, incarnation: String, connections: Int, draining: Bool) {
        self.url = url
        self.incarnation = incarnation
        self.connections = connections
        self.draining = draining
    }

    private enum CodingKeys: String, CodingKey {
        case url
        case incarnation
        case connections
        case draining
    }
}

/// The answer of `POST /internal/gateways/{id}`.
///
/// ```json
/// {"presence_epoch":"p9Xa","registration":3,"lease_ms":5000,
///  "gateways":[{"gateway_id":"g1","url":"http://127.0.0.1:6004","registration":3,"draining":false}]}
/// ```
package struct GatewayRegistration: Codable, Sendable, Equatable {
    /// A new one means that presence has lost its state: announce everything again.
    package var presenceEpoch: String
    /// This incarnation's number, which events carry; a new one means: announce everything again.
    ///
    /// Left out once the gateway is drained, and so not registered any more.
    package var registration: Int?
    /// All registered gateways, the asking one included.
    package var gateways: [GatewayPeer]
    /// How long a location is good for, counted from the sending of the look-up.
    package var leaseMilliseconds: Int

    package init(presenceEpoch: String, registration: Int?, gateways: [GatewayPeer], leaseMilliseconds: Int) {
        self.presenceEpoch = presenceEpoch
        self.registration = registration
        self.gateways = gateways
        self.leaseMilliseconds = leaseMilliseconds
    }

    private enum CodingKeys: String, CodingKey {
        case presenceEpoch = "presence_epoch"
        case registration
        case gateways
        case leaseMilliseconds = "lease_ms"
    }
}

/// One registered gateway.
///
/// ```json
/// {"gateway_id":"g1","url":"http://127.0.0.1:6004","registration":3,"draining":false}
/// ```
package struct GatewayPeer: Codable, Sendable, Equatable {
    package var gatewayID: String
    package var url: String
    /// Ended for ever once it is not listed: what is pending for it need not be retried (rule R5).
    package var registration: Int
    package var draining: Bool

    package init(gatewayID: String, url: String, registration: Int, draining: Bool) {
        self.gatewayID = gatewayID
        self.url = url
        self.registration = registration
        self.draining = draining
    }

    private enum CodingKeys: String, CodingKey {
        case gatewayID = "gateway_id"
        case url
        case registration
        case draining
    }
}

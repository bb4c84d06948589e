import Crypto

/// Names one run of a gateway: another name after a restart says that the former one has left with all its users.
enum Incarnation {
    static func make() -> String { SecureRandom.token(bytes: 16) }
}

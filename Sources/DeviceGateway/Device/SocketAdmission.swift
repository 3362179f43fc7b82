import PairingCore

/// How many sockets there are, and whether one more may be.
///
/// Sockets that nobody has authenticated share a part of the room; the rest is left to paired devices, so
/// that a flood of strangers costs strangers.
struct SocketAdmission: Equatable {
    /// Why a socket may not be.
    enum Refusal: Error, Equatable {
        /// The address has too many sockets that are not authenticated.
        case address
        /// The instance has no more room.
        case instance
    }

    private let sockets: Int
    private let strangers: Int
    private let strangersPerAddress: Int
    private var strangersByAddress: [String: Int] = [:]
    private(set) var strangerCount = 0
    private(set) var authenticatedCount = 0

    init(sockets: Int, strangers: Int, strangersPerAddress: Int) {
        self.sockets = sockets
        self.strangers = strangers
        self.strangersPerAddress = strangersPerAddress
    }

    /// A socket is new, and a stranger's.
    mutating func open(_ address: ClientAddress) throws(Refusal) {
        let key = address.limitKey
        guard strangersByAddress[key, default: 0] < strangersPerAddress else { throw .address }
        guard strangerCount < strangers, strangerCount + authenticatedCount < sockets else {
            throw .instance
        }
        strangersByAddress[key, default: 0] += 1
        strangerCount += 1
    }

    /// The socket is a device's or an administrator's from now on.
    mutating func authenticated(_ address: ClientAddress) {
        forgetStranger(address)
        authenticatedCount += 1
    }

    /// The socket is gone.
    mutating func close(_ address: ClientAddress, wasAuthenticated: Bool) {
        if wasAuthenticated { authenticatedCount -= 1 } else { forgetStranger(address) }
    }

    private mutating func forgetStranger(_ address: ClientAddress) {
        let key = address.limitKey
        strangerCount -= 1
        if let count = strangersByAddress[key] { strangersByAddress[key] = count > 1 ? count - 1 : nil }
    }
}

import Cryptography
import PairingCore
import PairingStore

/// Finds whose token a request bears, for devices that show nothing else.
struct TokenBearers: Sendable {
    private let store: PairingStore
    private let pairing: DevicePairing
    private let lookup: Batcher<[UInt8], PairedDevice?>

    init(store: PairingStore, pairing: DevicePairing) {
        self.store = store
        self.pairing = pairing
        lookup = Batcher(concurrency: 2) { try await store.activeDevices(ofTokens: $0) }
    }

    /// - Throws: `UNAUTHORIZED` for a token that nobody has, whatever it is; `NOT_PAIRED` with the reason `pending`,
    ///   `denied`, `expired` or `revoked` for one that is known.
    func device(bearing token: DeviceToken, from address: ClientAddress) async throws(Refusal) -> PairedDevice
    {
        try pairing.requireChannels()
        let hash = sha256(token.bytes)
        return try await refusing(pairing.logger) {
            // The database finds it by its hash, so that how long that takes says nothing about the token.
            if let device = try await lookup.submit(hash) { return device }
            let history = try await pairing.strangers.pass(address) {
                try await store.history(ofToken: hash)
            }
            throw refusal(history)
        }
    }

    private func refusal(_ history: PairingStore.History) -> Refusal {
        let device = history.devices.first
        if let request = history.requests.first,
            request.createdAt > device?.revokedAt ?? Timestamp(milliseconds: 0)
        {
            switch request.state {
            case .pending where request.expiresAt > history.now:
                return .awaitsDecision(pairing.ticket(request, expiresIn: request.expiresAt - history.now))
            case .denied:
                guard let at = request.decidedAt else { break }
                let left = at + pairing.settings.pairingCooldown - history.now
                let waits = left > .zero && !history.cooldownCleared.contains(request.id)
                return .denied(retryAfter: waits ? left : nil).explained(by: request.reason)
            case .pending, .expired, .approved: break
            }
            if device == nil { return .expired }
        }
        return device.map { Refusal.pairingEnded.explained(by: $0.revokeReason) } ?? .unknownToken
    }
}

extension Refusal {
    /// One answer for all whom nobody knows (I6).
    static let unknownToken = Refusal(.unknownBearer)

    /// An administrator has not decided.
    fileprivate static func awaitsDecision(_ ticket: PairingTicket) -> Refusal {
        Refusal(
            .pending, "An administrator has not decided yet: they compare the code \(ticket.code) on /nodes.",
            retryable: true, retryAfter: .seconds(5),
            details: ["code": .string(ticket.code.description), "requestId": .string(ticket.requestID.text)])
    }
}

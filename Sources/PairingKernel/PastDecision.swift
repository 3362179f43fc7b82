import PairingCore
import PairingStore

extension PairingAdministration {
    /// What became of a sender ID before: an administrator who sees it asked for again may know it by that.
    public struct PastDecision: Sendable, Equatable {
        /// What happened.
        public enum Kind: String, Sendable, Equatable {
            case paired, revoked, denied, expired
        }

        /// What happened.
        public var kind: Kind
        /// When.
        public var at: Timestamp
        /// Who did it; `nil` for what time did.
        public var by: String?
        /// Why, where whoever did it said so.
        public var reason: String?
        /// Whether the device had the credential that asks now.
        public var isSameCredential: Bool

        /// The most that are told.
        static let most = 8

        /// What became of the sender ID of `request` before it was made.
        static func all(in history: PairingStore.History, before request: PairingRequest) -> [PastDecision] {
            var past: [PastDecision] = []
            for device in history.devices where device.requestID != request.id {
                let isSame = device.credential == request.credential
                past.append(
                    PastDecision(
                        kind: .paired, at: device.pairedAt, by: device.pairedBy, isSameCredential: isSame))
                if let at = device.revokedAt {
                    past.append(
                        PastDecision(
                            kind: .revoked, at: at, by: device.revokedBy, reason: device.revokeReason,
                            isSameCredential: isSame))
                }
            }
            for other in history.requests where other.id != request.id {
                guard let at = other.decidedAt, other.state == .denied || other.state == .expired else {
                    continue
                }
                past.append(
                    PastDecision(
                        kind: other.state == .denied ? .denied : .expired, at: at,
                        by: other.state == .denied ? other.decidedBy : nil, reason: other.reason,
                        isSameCredential: other.credential == request.credential))
            }
            return Array(past.sorted { $0.at > $1.at }.prefix(most))
        }
    }
}

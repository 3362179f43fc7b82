import Cryptography
import PairingCore
import PairingStore
import Synchronization

/// A device of another dialect that shows a secret of its own instead of a key: it is this server's device token by its
/// hash, and names its device by a hash of that.
public enum ForeignSecret {
    /// The token and the sender ID that a secret stands for in a dialect; in another it is another device's.
    public static func device(
        of secret: String, in dialect: DialectName
    ) -> (token: DeviceToken, senderID: SenderID)? {
        let prefix =
            switch dialect {
            case .nodes, .goclaw: "web-"
            case .openclaw: "oc-"
            }
        guard let token = DeviceToken(bytes: sha256(Array("\(dialect.rawValue)-token|\(secret)".utf8))),
            let senderID = SenderID(prefix + hexadecimal(sha256(token.bytes).prefix(8)))
        else { return nil }
        return (token, senderID)
    }
}

extension DeviceSessions {
    /// Whom the session's device may name, as administrators have it now.
    public func agentNames(
        of grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> [String] {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { throw .sessionEnded }
        let devices = try await refusing(logger) { try await store.activeDevices(of: [grant.senderID]) }
        guard let device = devices[grant.senderID.key] else { throw .pairingEnded }
        return agentNames(for: device)
    }
}

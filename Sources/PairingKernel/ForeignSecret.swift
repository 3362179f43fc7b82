import Cryptography
import PairingCore
import PairingStore
import Synchronization

/// A device of another dialect that shows a secret of its own instead of a key: it is this server's device token by its
/// hash, and names its device by a hash of that.
public enum ForeignSecret {
    /// The token and the sender ID that a secret stands for.
    public static func device(of secret: String) -> (token: DeviceToken, senderID: SenderID)? {
        guard let token = DeviceToken(bytes: sha256(Array("openclaw-token|\(secret)".utf8))),
            let senderID = SenderID("oc-" + hexadecimal(sha256(token.bytes).prefix(8)))
        else { return nil }
        return (token, senderID)
    }
}

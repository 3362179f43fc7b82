import PairingCore
import PairingStore

extension Refusal {
    /// The same with what the administrator gave as a reason, if anything.
    func explained(by reason: String?) -> Refusal {
        var explained = self
        if let reason { explained.details["decisionReason"] = .string(reason) }
        return explained
    }

    /// One answer for all who prove nothing, whatever there is (I6).
    static let unknownDevice = Refusal(.unknown)

    /// The socket is another device's, or an administrator's.
    public static let alreadySomebody = Refusal(.alreadyConnected)

    static let expired = Refusal(.expired)

    /// Signature checks come too fast; the nonce is spent.
    public static func tooManyProofs(retryAfter: Duration) -> Refusal {
        Refusal(.tooManyProofs, retryAfter: retryAfter)
    }

    /// So many wait for their turn that one more is turned away.
    static let overloaded = Refusal(.overloaded)

    /// Its turn did not come in time.
    static let waitedTooLong = Refusal(.databaseBusy)

    static func messageTooLarge(_ bytes: Int) -> Refusal {
        Refusal(
            .messageTooLarge,
            "The message is \(bytes) bytes as compact JSON; at most \(DeviceSessions.maximumBodyBytes) are accepted."
        )
    }

    static func denied(retryAfter: Duration?) -> Refusal {
        Refusal(.denied, retryable: retryAfter != nil, retryAfter: retryAfter)
    }
}

import PairingCore
import PairingStore

extension Refusal {
    /// One answer for all who prove nothing, whatever there is (I6).
    static let unknownDevice = Refusal(
        .notPaired, "unknown",
        "No pairing and no request of this sender ID on this channel is proven by this credential. Ask to pair with "
            + "device.pair.request.")

    /// The socket is another device's, or an administrator's.
    public static let alreadySomebody = Refusal(
        .failedPrecondition, "already_connected",
        "This socket is authenticated already; open another one to connect as somebody else.")

    static let expired = Refusal(
        .notPaired, "expired",
        "Nobody decided the pairing request in time. Ask again with device.pair.request.")

    /// Signature checks come too fast; the nonce is spent.
    public static func tooManyProofs(retryAfter: Duration) -> Refusal {
        Refusal(
            .resourceExhausted, "too_many_proofs",
            "Too many signatures to check; wait, call device.challenge and sign again.", retryable: true,
            retryAfter: retryAfter)
    }

    /// So many wait for their turn that one more is turned away.
    static let overloaded = Refusal(
        .resourceExhausted, "overloaded", "The server has too much to do. Try again shortly.",
        retryable: true, retryAfter: .seconds(1))

    /// Its turn did not come in time.
    static let waitedTooLong = Refusal(
        .unavailable, "database_busy", "The pairing database is busy. Try again shortly.", retryable: true,
        retryAfter: .seconds(1))

    static func messageTooLarge(_ bytes: Int) -> Refusal {
        Refusal(
            .invalidRequest, "message_too_large",
            "The message is \(bytes) bytes as compact JSON; at most \(DeviceSessions.maximumBodyBytes) are accepted."
        )
    }

    static func denied(retryAfter: Duration?) -> Refusal {
        Refusal(
            .notPaired, "denied",
            "An administrator denied the pairing request. Ask again with device.pair.request only if the device's "
                + "owner wants that.", retryable: retryAfter != nil, retryAfter: retryAfter)
    }
}

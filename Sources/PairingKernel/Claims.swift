import PairingCore

/// Who is at the other end of a socket, as far as the socket itself shows.
public struct Peer: Sendable {
    /// The client's address as nginx reports it.
    public var address: ClientAddress
    /// The public origins that the upgrade request's `Host` can mean; what a proof may be signed for.
    public var origins: [Origin]
    /// The nonce that this socket issued last, already marked as spent; `nil` where there is none left.
    public var spentNonce: String?
    /// Pays for a signature check, once it is known that there is a credential to check against: how long to wait
    /// where there is nothing left to pay with.
    public var paySignature: @Sendable (SignaturePurse) -> Duration? = { _ in nil }
    /// Gives back what a signature check took whose device turned out to be paired.
    public var refundSignature: @Sendable () -> Void = {}

    /// Wraps the parts.
    public init(address: ClientAddress, origins: [Origin], spentNonce: String? = nil) {
        self.address = address
        self.origins = origins
        self.spentNonce = spentNonce
    }
}

/// What pays for a signature check.
public enum SignaturePurse: Sendable {
    /// For a paired device's key.
    case devices
    /// For any other key: one that asks to pair, or whose request or pairing is not, or no longer, in force.
    case strangers
}

/// A pending request as its device may know it.
public struct PairingTicket: Sendable, Equatable {
    /// The request; repeats get the same.
    public var requestID: RequestID
    /// What the device shows; repeats get the same.
    public var code: PairingCode
    /// The kind of device.
    public var channel: ChannelID
    /// The device's identifier.
    public var senderID: SenderID
    /// The token made for a device that sent none; in this answer only.
    public var deviceToken: DeviceToken?
    /// When the request expires; repeats never extend it.
    public var expiresAt: Timestamp
    /// The same by the database's clock, from now.
    public var expiresIn: Duration
}

/// What `device.pair.request` leads to.
public enum PairingAnswer: Sendable, Equatable {
    /// The device waits for an administrator.
    case pending(PairingTicket)
    /// The device is paired already: it should connect.
    case approved
}

/// What `device.pair.status` answers to whoever proved the credential.
public enum PairingStatus: Sendable, Equatable {
    /// An administrator has not decided yet.
    case pending(PairingTicket)
    /// Paired: connect.
    case approved
    /// Denied; `retryAfter` while a new request has to wait, and why where the administrator said so.
    case denied(retryAfter: Duration?, reason: String? = nil)
    /// Nobody decided in time.
    case expired
    /// Paired once, then revoked, and why where the administrator said so.
    case revoked(reason: String? = nil)
}

/// A live session of a paired device.
public struct SessionGrant: Sendable, Equatable {
    /// Names the session in logs and to the device; not a secret.
    public var sessionID: String
    /// The gateway that holds it.
    public var instanceID: InstanceID
    /// The kind of device.
    public var channel: ChannelID
    /// The device's identifier.
    public var senderID: SenderID
    /// The pairing's generation; what the session may do ends with it.
    public var generation: Generation
    /// The session's place among the device's sessions; a greater one replaces it.
    public var epoch: Epoch
    /// What the device's channel allows it.
    public var limits = ChannelLimits()
}

/// What `connect` leads to.
public enum ConnectAnswer: Sendable, Equatable {
    /// Authenticated from now on.
    case paired(SessionGrant)
    /// Known, but an administrator has not decided; the socket will be told.
    case pending(PairingTicket)
}

/// What a waiting socket is told when an administrator decides: the event `device.pair.resolved`.
public enum PairingResolution: Sendable, Equatable {
    /// Approved. With a grant the socket is authenticated from now on; without one, a newer socket of the
    /// device is, or the device should call `connect`.
    case approved(RequestID, SessionGrant?)
    /// Denied, and why where the administrator said so; the socket is closed with 4003 next.
    case denied(RequestID, reason: String? = nil)
    /// Nobody decided in time.
    case expired(RequestID)
}

/// A message that was taken: the payload of `message.send`'s answer, and what follows it.
public struct MessageReceipt: Sendable, Equatable {
    /// Stands for the number of a message that is ephemeral: it was not stored.
    public static let ephemeral: Int64 = 0

    /// The device's own identifier of the message.
    public var messageID: String
    /// The message's number among those from the device, from 1 without gaps; ``ephemeral`` where it has none.
    public var sequence: Int64
    /// What the channel says to the device about the message; to be sent after the answer.
    public var frames: [ChannelFrame] = []

    /// Whether it was not stored.
    public var isEphemeral: Bool { sequence == Self.ephemeral }
}

/// A device's wish to be paired: the parameters of `device.pair.request`.
public struct PairingClaim: Sendable, Equatable {
    /// The kind of device.
    public var channel: ChannelID
    /// The device's identifier.
    public var senderID: SenderID
    /// What the device will prove itself by.
    public var credential: ClaimedCredential
    /// A code the device chose itself.
    public var code: PairingCode?
    /// The name the device claims; cleaned by the kernel.
    public var displayName: String
    /// What the device says of itself: a JSON object; cleaned by the kernel.
    public var metadata: JSONValue
    /// An invitation that the device presents, as it was sent.
    public var invitation: String?

    /// Wraps the parts.
    public init(
        channel: ChannelID, senderID: SenderID, credential: ClaimedCredential, code: PairingCode? = nil,
        displayName: String = "", metadata: JSONValue = .object([:]), invitation: String? = nil
    ) {
        self.channel = channel
        self.senderID = senderID
        self.credential = credential
        self.code = code
        self.displayName = displayName
        self.metadata = metadata
        self.invitation = invitation
    }
}

/// A device that says who it is: the parameters of `connect` and `device.pair.status`.
public struct DeviceIdentity: Sendable, Equatable {
    /// The kind of device.
    public var channel: ChannelID
    /// The device's identifier.
    public var senderID: SenderID
    /// What it proves that by.
    public var evidence: Evidence

    /// Wraps the parts.
    public init(channel: ChannelID, senderID: SenderID, evidence: Evidence) {
        self.channel = channel
        self.senderID = senderID
        self.evidence = evidence
    }
}

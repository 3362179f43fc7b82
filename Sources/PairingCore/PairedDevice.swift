/// Where a pairing stands.
public enum DeviceState: String, Sendable, Hashable, CaseIterable {
    /// The device may connect. Goes to `revoked`, once.
    case active
    /// An administrator revoked it; the row stays, so that a device offline for a year is told. Final.
    case revoked
}

/// One pairing of a device: made by an approval, ended by a revocation. A sender ID that is paired again
/// gets a new one with a greater generation.
public struct PairedDevice: Sendable, Equatable {
    /// The approved request that made it.
    public var requestID: RequestID
    /// The device's identifier.
    public var senderID: SenderID
    /// The kind of device.
    public var channel: ChannelID
    /// The credential it connects with.
    public var credential: StoredCredential
    /// What the device said of itself when it asked.
    public var profile: DeviceProfile
    /// The generation this pairing began with.
    public var generation: Generation
    /// Where it stands.
    public var state: DeviceState
    /// When it was approved.
    public var pairedAt: Timestamp
    /// Who approved; the name of an ``Actor``.
    public var pairedBy: String
    /// When it was revoked.
    public var revokedAt: Timestamp?
    /// Who revoked; the name of an ``Actor``.
    public var revokedBy: String?
    /// Why, in the words of whoever revoked it; for the device and for those who look later.
    public var revokeReason: String?
    /// What administrators call it; later pairings of the sender ID keep it.
    public var label: String?
    /// What administrators say of it; later pairings of the sender ID keep it.
    public var note: String?
    /// When it ends as if it were revoked.
    public var expiresAt: Timestamp?
    /// Who answers its messages: the first, or another one that a message names. Empty where that is left to its
    /// channel, and then a message names nobody else.
    public var agents: [String] = []
    /// The names of commands that administrators switched off, sorted; later pairings of the sender ID keep them.
    public var commandsOff: [String] = []

    /// What agents may have it carry out: what it declares and nobody switched off.
    public var commands: [DeviceCommand] {
        DeviceCommand.declared(in: profile.metadata).filter { !commandsOff.contains($0.name) }
    }

    /// What people are shown as its name: the label, else what it claims to be called; empty where there is neither.
    public var shownName: String { label ?? profile.displayName }

    /// Wraps the parts.
    public init(
        requestID: RequestID, senderID: SenderID, channel: ChannelID, credential: StoredCredential,
        profile: DeviceProfile, generation: Generation, state: DeviceState, pairedAt: Timestamp,
        pairedBy: String, revokedAt: Timestamp? = nil, revokedBy: String? = nil, revokeReason: String? = nil
    ) {
        self.requestID = requestID
        self.senderID = senderID
        self.channel = channel
        self.credential = credential
        self.profile = profile
        self.generation = generation
        self.state = state
        self.pairedAt = pairedAt
        self.pairedBy = pairedBy
        self.revokedAt = revokedAt
        self.revokedBy = revokedBy
        self.revokeReason = revokeReason
    }
}

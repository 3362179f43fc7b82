/// Where a pairing request stands.
public enum RequestState: String, Sendable, Hashable, CaseIterable {
    /// Waiting for an administrator. Goes to each of the others, once.
    case pending
    /// An administrator approved: there is a paired device. Final.
    case approved
    /// An administrator denied. Final.
    case denied
    /// Nobody decided before `expiresAt`. Final.
    case expired
}

/// A labelled fact about a device that its channel adds for the administrator.
public struct Detail: Sendable, Hashable {
    /// What the fact is about, such as "Browser".
    public let label: String
    /// The fact.
    public let value: String

    /// Wraps the two.
    public init(label: String, value: String) {
        self.label = label
        self.value = value
    }

    /// Marks a device whose signature is OpenClaw's.
    public static let openClawSignature = Detail(
        label: "Signature", value: "OpenClaw's, which names no address that was dialled")
}

/// What a device says of itself; untrusted, cleaned, shown to the administrator (I7).
public struct DeviceProfile: Sendable, Equatable {
    /// The name the device claims; may be empty.
    public var displayName: String
    /// The device's metadata: the compact text of a JSON object.
    public var metadata: String
    /// What the channel's plugin made of it.
    public var details: [Detail]

    /// Wraps the parts.
    public init(displayName: String = "", metadata: String = "{}", details: [Detail] = []) {
        self.displayName = displayName
        self.metadata = metadata
        self.details = details
    }
}

/// One request of a device to be paired, as the store keeps it.
public struct PairingRequest: Sendable, Equatable {
    /// Its identifier.
    public var id: RequestID
    /// The device's identifier.
    public var senderID: SenderID
    /// The kind of device.
    public var channel: ChannelID
    /// What the device shows and the administrator compares.
    public var code: PairingCode
    /// The credential this request is bound to.
    public var credential: StoredCredential
    /// What the device said of itself in its first request; repeats never change it (I11).
    public var profile: DeviceProfile
    /// Where the first request came from.
    public var address: ClientAddress?
    /// Where it stands.
    public var state: RequestState
    /// When it was made, by the database's clock.
    public var createdAt: Timestamp
    /// When it expires; repeats never extend it.
    public var expiresAt: Timestamp
    /// When it was approved, denied or expired.
    public var decidedAt: Timestamp?
    /// Who decided; the name of an ``Actor``.
    public var decidedBy: String?
    /// Why, in the words of whoever denied it; for the device and for those who look later.
    public var reason: String?

    /// Wraps the parts.
    public init(
        id: RequestID, senderID: SenderID, channel: ChannelID, code: PairingCode,
        credential: StoredCredential, profile: DeviceProfile, address: ClientAddress?, state: RequestState,
        createdAt: Timestamp, expiresAt: Timestamp, decidedAt: Timestamp? = nil, decidedBy: String? = nil,
        reason: String? = nil
    ) {
        self.id = id
        self.senderID = senderID
        self.channel = channel
        self.code = code
        self.credential = credential
        self.profile = profile
        self.address = address
        self.state = state
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.decidedAt = decidedAt
        self.decidedBy = decidedBy
        self.reason = reason
    }
}

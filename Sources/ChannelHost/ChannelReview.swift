public import PairingCore

/// A device's request to pair, for its channel to review.
public struct ChannelClaim: Sendable {
    /// The channel the device names.
    public var channel: ChannelID
    /// The device's stable identifier.
    public var senderID: SenderID
    /// The name the device claims.
    public var displayName: String
    /// A JSON object, or empty where the device sent none.
    public var metadata: String
    /// Whether the device proved a key; otherwise it has a bare token.
    public var hasKey: Bool

    /// Makes a claim.
    public init(
        channel: ChannelID, senderID: SenderID, displayName: String = "", metadata: String = "",
        hasKey: Bool
    ) {
        self.channel = channel
        self.senderID = senderID
        self.displayName = displayName
        self.metadata = metadata
        self.hasKey = hasKey
    }
}

/// What a channel says about a request it lets pass.
public struct ChannelReview: Sendable, Equatable {
    /// Up to 32 facts, in the channel's order.
    public var details: [Detail]

    /// Makes a review.
    public init(details: [Detail] = []) { self.details = details }
}

import PairingCore
public struct ChannelClaim: Sendable {
    public init(channel: ChannelID, senderID: SenderID, displayName: String, metadata: String, hasKey: Bool) {}
}
public struct ChannelReview: Sendable { public var details: [Detail]; public var pairingLifetime: Duration? }
public final class ChannelHost: Sendable {
    public func review(_ claim: ChannelClaim) async throws(Refusal) -> ChannelReview { throw .internal }
}

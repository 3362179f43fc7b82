import PairingCore
public struct ChannelClaim: Sendable {
    public init(channel: ChannelID, senderID: SenderID, displayName: String, metadata: String, hasKey: Bool) {}
}
public struct ChannelReview: Sendable { public var details: [Detail]; public var pairingLifetime: Duration? }
import Logging
public final class ChannelHost: Sendable {
    public static func load(directory: String, configurations: [String: String] = [:], logger: Logger) -> ChannelHost { ChannelHost() }
    public func review(_ claim: ChannelClaim) async throws(Refusal) -> ChannelReview { throw .internal }
}

import PairingCore
import PairingStore

/// A row of the event feed, for those who don't read it from the table.
public struct RecordedEvent: Sendable, Equatable {
    /// Its place; positions appear in commit order.
    public var position: Int64
    /// When, by the database's clock.
    public var at: Timestamp
    /// What happened; an ``PairingCore/EventName`` unless a newer program wrote it.
    public var event: String
    /// The device's channel, where it is about a device.
    public var channel: String?
    /// The device's identifier, where it is about a device.
    public var senderID: String?
    /// The kind of actor.
    public var actorKind: String
    /// The name of the actor.
    public var actor: String
    /// The request, where it is about one.
    public var requestID: String?
    /// The generation after the event, where it is about a pairing.
    public var generation: Int64?
    /// The address the action came from, where it is known.
    public var address: String?
    /// Further facts: the text of a JSON object.
    public var details: String
}

extension EventFeed {
    /// The events after a position, oldest first, or those of them that are about one device.
    ///
    /// - Parameter limit: 1...1000.
    public func exported(
        after position: Int64, of senderID: SenderID?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> [RecordedEvent] {
        try authority.require(.read)
        let limit = min(max(limit, 1), 1000)
        return try await refusing(logger) {
            try await store.events(after: position, of: senderID, limit: limit).map {
                RecordedEvent(
                    position: $0.position, at: $0.at, event: $0.event, channel: $0.channel,
                    senderID: $0.senderID, actorKind: $0.actorKind, actor: $0.actor, requestID: $0.requestID,
                    generation: $0.generation, address: $0.address, details: $0.details)
            }
        }
    }
}

import PairingCore

/// One row of the event feed.
public struct FeedEvent: Sendable, Equatable {
    /// Its place; positions appear in commit order.
    public var position: Int64
    /// When, by the database's clock.
    public var at: Timestamp
    /// What happened, such as `pairing.revoked`.
    public var event: String
    /// The device's channel, where it is about a device.
    public var channel: String?
    /// The device's identifier, where it is about a device.
    public var senderID: String?
    /// The kind of ``Actor``.
    public var actorKind: String
    /// The name of the ``Actor``.
    public var actor: String
    /// The request, where it is about one.
    public var requestID: String?
    /// The generation after the event, where it is about a pairing.
    public var generation: Int64?
    /// The address the action came from, where it is known.
    public var address: String?
    /// Further facts: compact JSON text of an object.
    public var details: String
}

/// The append-only record of what happened.
public struct EventFeed: Sendable {
    /// The newest position; 0 where nothing has happened.
    public func newestPosition() async throws(Refusal) -> Int64 { throw .internal }

    /// The events after a position, oldest first.
    ///
    /// - Parameter limit: 1...1000.
    public func events(after position: Int64, limit: Int) async throws(Refusal) -> [FeedEvent] {
        throw .internal
    }

    /// Follows the feed from a position on: LISTEN first, then read, and read again on every hint, every
    /// few seconds and after every loss of the connection. Ends when its task is cancelled.
    public func follow(
        after position: Int64, _ body: @Sendable ([FeedEvent]) async throws -> Void
    ) async throws {}
}

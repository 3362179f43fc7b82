import PairingCore
import PairingStore
import Synchronization

/// Something that happened, as those are told who follow what devices do.
public struct PairingChange: Sendable, Equatable {
    /// Its place in the event feed.
    public var position: Int64
    /// What happened: an ``PairingCore/EventName``'s word, unless a newer program wrote it.
    public var event: String
    /// The kind of device, where it is about one.
    public var channel: String?
    /// The device's identifier, where it is about one.
    public var senderID: String?
    /// The request, where it is about one.
    public var requestID: String?
}

extension DeviceSessions {
    /// Has `listener` told whenever the feed brings something. It must not take long: revocations wait for it.
    public func onFeed(_ listener: @escaping @Sendable () -> Void) { feedListener.withLock { $0 = listener } }

    /// Has everything that the feed brings from now on handed to `reader`, once and in order, by the one task that
    /// reads the feed. It is called in batches, and must not take long: revocations wait for it. An empty batch says
    /// that the database was taken back to an earlier moment: nothing that is known has to be so any more.
    public func readFeed(_ reader: @escaping @Sendable ([PairingChange]) -> Void) {
        feedReader.withLock {
            $0 = { events in
                reader(
                    events.map {
                        PairingChange(
                            position: $0.position, event: $0.event, channel: $0.channel,
                            senderID: $0.senderID, requestID: $0.requestID)
                    })
            }
        }
    }
}

import PairingCore
import Postgres

/// What other processes say happened, as it happens. Hints are lost while the connection is: whoever acts on
/// them reads the database as well.
public struct StoreHints: Sendable {
    /// A hint.
    public enum Hint: Sendable, Equatable {
        /// Something may have happened: read the event feed.
        case readFeed
        /// Newer sessions of these devices exist than those on this instance.
        case replaced([PairingStore.ReplacedSession], on: InstanceID)
    }

    /// The channels to LISTEN to.
    public static let channels = [PairingStore.eventsChannel, PairingStore.sessionsChannel]

    private let listener: PostgresListener

    /// Reads the notifications of a listener to ``channels``, which is run elsewhere.
    public init(_ listener: PostgresListener) { self.listener = listener }

    /// The hints, for one reader; ends when the listener does.
    public var hints: some AsyncSequence<Hint, Never> & Sendable {
        listener.events.map { event in
            guard case .notification(PairingStore.sessionsChannel, let payload) = event,
                let (instance, sessions) = PairingStore.ReplacedSession.parse(payload)
            else { return .readFeed }
            return .replaced(sessions, on: instance)
        }
    }
}

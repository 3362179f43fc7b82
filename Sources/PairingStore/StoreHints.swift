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
        /// There is something for these devices on this instance.
        case wake(PairingStore.Wake, [String], on: InstanceID)
    }

    /// The channels to LISTEN to.
    public static let channels = [
        PairingStore.eventsChannel, PairingStore.sessionsChannel, PairingStore.wakesChannel,
    ]

    private let listener: PostgresListener

    /// Reads the notifications of a listener to ``channels``, which is run elsewhere.
    public init(_ listener: PostgresListener) { self.listener = listener }

    /// The hints, for one reader; ends when the listener does.
    public var hints: some AsyncSequence<Hint, Never> & Sendable {
        listener.events.map { event in
            switch event {
            case .notification(PairingStore.sessionsChannel, let payload):
                guard let (instance, sessions) = PairingStore.ReplacedSession.parse(payload) else {
                    return .readFeed
                }
                return .replaced(sessions, on: instance)
            case .notification(PairingStore.wakesChannel, let payload):
                guard let (instance, wake, devices) = PairingStore.Wake.parse(payload) else {
                    return .readFeed
                }
                return .wake(wake, devices, on: instance)
            default: return .readFeed
            }
        }
    }
}

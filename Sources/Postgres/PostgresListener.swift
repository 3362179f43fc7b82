import Logging
import ServiceLifecycle
import Synchronization

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

    private let outbox: ListenerOutbox
    private let configuration: PostgresConfiguration
    private let channels: [String]
    private let logger: Logger

    /// Makes a listener for channels, whose names are taken as they are; connects when it runs.
    public init(configuration: PostgresConfiguration, channels: [String], logger: Logger) {
        let (events, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingOldest(1024))
        self.events = events
        self.outbox = ListenerOutbox(continuation)
        self.configuration = configuration
        self.channels = channels
        self.logger = logger
    }

    /// Listens until cancelled or shut down gracefully; once only.
    ///
    /// Never returns or throws because the database is away. Where notifications don't get through, as behind a
    /// pooler that gives connections out by transaction, it logs that as an error and keeps trying.
    ///
    /// - Throws: `PostgresError` if the process has no file descriptor or thread left.
    public func run() async throws {
        defer { outbox.finish() }
        try await ConnectionThread.run(named: "postgres-listen") { thread in
            var failures = 0
            while !thread.isStopping {
                var isConnected = false
                do {
                    try self.listen(on: thread) {
                        if failures > 0 { self.logger.notice("Listening for notifications again") }
                        failures = 0
                        isConnected = true
                        self.outbox.send(.connected)
                    }
                } catch {
                    if isConnected { self.outbox.send(.lost) }
                    // It was told to end, which is no failure.
                    guard !thread.isStopping else { break }
                    failures += 1
                    self.logger.log(
                        level: failures == 1 ? .error : .debug,
                        "Listening for notifications failed; trying again",
                        metadata: ["error": "\(String(reflecting: error))"])
                    thread.sleep(for: Backoff.delay(failures: failures, jitter: .random(in: 0...1)))
                }
            }
        }
    }

    /// Proves that notifications reach a listener: listens on one connection, notifies through another.
    ///
    /// - Throws: `PostgresError` with code `listenUnsupported` if nothing arrives within `timeout`, as behind a
    ///   pooler that gives connections out by transaction; another one if the database is away.
    public static func verifyListenWorks(
        configuration: PostgresConfiguration, timeout: Duration = .seconds(5)
    ) async throws {
        let outcome = Mutex<Result<Void, PostgresError>>(.failure(PostgresError(.cancelled)))
        try await ConnectionThread.run(named: "postgres-listen") { thread in
            let result = Result { () throws(PostgresError) in
                let connection = try Connection(configuration, wakeup: thread.wakeup)
                try connection.verifyListenWorks(configuration, thread: thread, timeout: timeout)
            }
            outcome.withLock { $0 = result }
        }
        try outcome.withLock { $0 }.get()
    }

    /// Listens on one connection until it breaks, which throws, or the thread is to stop.
    private func listen(on thread: ConnectionThread, connected: () -> Void) throws(PostgresError) {
        let connection = try Connection(configuration, wakeup: thread.wakeup)
        try connection.verifyListenWorks(configuration, thread: thread, timeout: .seconds(5))
        for channel in channels { try connection.runScript("LISTEN \(SQLText.identifier(channel))") }
        connected()
        while !thread.isStopping {
            while let (channel, payload) = connection.nextNotification() {
                outbox.send(.notification(channel: channel, payload: payload))
            }
            outbox.retry()
            try connection.awaitNotification(for: .seconds(3), leavesReadOnly: configuration.choosesServer)
        }
    }
}

/// Where a listener's events go.
private final class ListenerOutbox: Sendable {
    private let continuation: AsyncStream<PostgresListener.Event>.Continuation
    /// Events were dropped, and the reader hasn't been told by a `connected`.
    private let owesConnected = Atomic(false)

    init(_ continuation: AsyncStream<PostgresListener.Event>.Continuation) {
        self.continuation = continuation
    }

    func send(_ event: PostgresListener.Event) {
        retry()
        yield(event)
    }

    /// Tells the reader of dropped events, if there is room again.
    func retry() {
        if owesConnected.exchange(false, ordering: .acquiringAndReleasing) { yield(.connected) }
    }

    func finish() { continuation.finish() }

    private func yield(_ event: PostgresListener.Event) {
        if case .dropped = continuation.yield(event) { owesConnected.store(true, ordering: .releasing) }
    }
}

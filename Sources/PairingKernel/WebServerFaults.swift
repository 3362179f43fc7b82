import Logging
import PairingCore
import Synchronization

/// What the web server in front was seen to do wrong, for the log: once a minute at most, however many requests show
/// it. Thread-safe.
public final class WebServerFaults: Sendable {
    private static let pause = Duration.seconds(60)

    private let logger: Logger
    private let loggedAt = Mutex<ContinuousClock.Instant?>(nil)

    init(logger: Logger) { self.logger = logger }

    /// A request came with something that is no client's address.
    public func noAddress(_ text: String) {
        let isDue = loggedAt.withLock { loggedAt in
            let now = ContinuousClock.now
            if let last = loggedAt, now - last < Self.pause { return false }
            loggedAt = now
            return true
        }
        guard isDue else { return }
        logger.error("\(ClientAddress.absence(sent: text))")
    }
}

import Logging
import PairingStore
import ServiceLifecycle

/// Ends due requests within seconds, so that their devices are told, and now and then removes what is
/// outdated. Nothing depends on it: every decision ends what is due by itself (I2).
public struct Sweeper: Service {
    let store: PairingStore
    let settings: PairingSettings
    let logger: Logger

    /// Sweeps until graceful shutdown; never throws because the database is away.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var turn = 0
            while !Task.isCancelled {
                do {
                    while try await store.expireDueRequests() == 100 {}
                    if turn % 300 == 0 {
                        while try await store.removeOutdated() >= 1000, !Task.isCancelled {}
                        _ = try await store.removeEndedSessions(
                            idle: settings.sessionIdleTimeout, absolute: settings.sessionAbsoluteTimeout)
                    }
                    turn += 1
                } catch {
                    logger.debug("A sweep waits for the database", metadata: ["error": "\(error)"])
                }
                // Jitter, so that instances which started together do not sweep together.
                try? await Task.sleep(for: .milliseconds(.random(in: 800...1200)))
            }
        }
    }
}

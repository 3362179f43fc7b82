import Logging
import Metrics
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
            var failing: Set<String> = []
            var turn = 0
            while !Task.isCancelled {
                await attempt("Due requests could not be ended", &failing) {
                    while try await store.expireDueRequests() == 100 {}
                }
                await attempt("Messages whose time is over could not be ended", &failing) {
                    while true {
                        let ended = try await store.expireDueMessages()
                        MessageEnds.expired.increment(by: ended)
                        if ended < 100 { break }
                    }
                }
                await attempt("Pairings whose time is over could not be ended", &failing) {
                    while try await store.revokeDueDevices() == 100 {}
                }
                await attempt("Commands whose time is over could not be ended", &failing) {
                    while try await store.endDueCommands() == 100 {}
                }
                if turn % 300 == 0 {
                    await attempt("What is outdated could not be removed", &failing) {
                        while try await store.removeOutdated(messages: settings.messageRetention) >= 1000,
                            !Task.isCancelled
                        {}
                    }
                    await attempt("Ended sign-ins could not be removed", &failing) {
                        _ = try await store.removeEndedSessions(
                            idle: settings.sessionIdleTimeout, absolute: settings.sessionAbsoluteTimeout)
                    }
                }
                turn += 1
                // Jitter, so that instances which started together do not sweep together.
                try? await Task.sleep(for: .milliseconds(.random(in: 800...1200)))
            }
        }
    }

    /// Does one job. One that fails keeps none of the others from being done.
    ///
    /// - Parameters:
    ///   - failure: what to log where it fails.
    ///   - failing: what failed the last time: it is a warning once, not every second.
    private func attempt(
        _ failure: String, _ failing: inout Set<String>, _ job: () async throws -> Void
    ) async {
        do {
            try await job()
            failing.remove(failure)
        } catch {
            if StoreFailure(error) == .cancelled { return }
            logger.log(
                level: failing.insert(failure).inserted ? .warning : .debug, "\(failure)",
                metadata: ["error": "\(error)"])
        }
    }
}

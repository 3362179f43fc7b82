import ServiceLifecycle
import Synchronization
import Unix

/// The thread that a connection beside the pool lives on.
final class ConnectionThread: Sendable {
    let wakeup: Wakeup
    private let stopping = Atomic<Bool>(false)

    private init() throws(PostgresError) { wakeup = try Wakeup() }

    /// Runs `body` on a thread of its own; cancelling the task or shutting down asks it to stop.
    ///
    /// - Throws: `PostgresError` with code `connectionFailed` if the process has no file descriptor or thread left.
    static func run(named name: String, _ body: @escaping @Sendable (ConnectionThread) -> Void) async throws {
        let thread = try ConnectionThread()
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let isStarted = OSThread.start(named: name) {
                    body(thread)
                    continuation.resume()
                }
                if !isStarted {
                    continuation.resume(
                        throwing: PostgresError(.connectionFailed, summary: "the system has no thread left"))
                }
            }
        } onCancelOrGracefulShutdown: {
            thread.stopping.store(true, ordering: .releasing)
            thread.wakeup.signal()
        }
    }

    var isStopping: Bool { stopping.load(ordering: .acquiring) }

    /// Waits, but not once the thread is to stop.
    func sleep(for duration: Duration) {
        let end = ContinuousClock.now + duration
        while !isStopping, Readiness.wait(socket: -1, wakeup: wakeup, until: end) != nil {}
    }
}

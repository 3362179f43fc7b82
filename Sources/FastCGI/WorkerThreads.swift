import Synchronization
import Unix

/// Runs `body` on threads of its own, which may block, and returns when every thread has ended.
///
/// - Parameters:
///   - count: 1 or more.
///   - shortage: told how many threads there are, if the system did not give them all.
/// - Throws: ``FastCGIServerError/noThreads`` when the system gave none.
func runOnThreads(
    _ count: Int, shortage: (Int) -> Void, body: @escaping @Sendable () -> Void
) async throws(FastCGIServerError) {
    let running = Countdown(count)
    var failed = 0
    for _ in 0..<count {
        let isStarted = OSThread.start(named: "fastcgi") {
            body()
            running.signal()
        }
        if !isStarted {
            failed += 1
            running.signal()
        }
    }
    if failed == count { throw .noThreads }
    if failed > 0 { shortage(count - failed) }
    await running.wait()
}

/// Lets one task wait for a number of signals.
private final class Countdown: Sendable {
    private let state: Mutex<(left: Int, waiter: CheckedContinuation<Void, Never>?)>

    init(_ count: Int) {
        state = Mutex((count, nil))
    }

    func signal() {
        let waiter = state.withLock { state in
            state.left -= 1
            return state.left == 0 ? state.waiter : nil
        }
        waiter?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                state.waiter = continuation
                return state.left == 0
            }
            if isOver { continuation.resume() }
        }
    }
}

import Dispatch
import Synchronization

/// One request with the handler, and the worker thread that waits for the answer.
final class Exchange: Sendable {
    private struct State {
        var response: FastCGIResponse?
        var task: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let answered = DispatchSemaphore(value: 0)

    /// Starts the handler.
    init(
        _ request: FastCGIRequest,
        handler: @escaping @Sendable (FastCGIRequest) async -> FastCGIResponse
    ) {
        let task = Task { self.answer(await handler(request)) }
        state.withLock { $0.task = task }
    }

    /// Blocks the calling thread until there is an answer.
    ///
    /// - Returns: the handler's response, or `nil` after `timeout` or ``abandon()``; the handler's task is
    ///   then cancelled.
    func wait(timeout: Duration) -> FastCGIResponse? {
        let (seconds, attoseconds) = timeout.components
        let nanoseconds = Double(seconds) * 1e9 + Double(attoseconds) / 1e9
        _ = answered.wait(timeout: .now() + .nanoseconds(Int(min(nanoseconds, 1e18))))
        return state.withLock { state in
            if state.response == nil { state.task?.cancel() }
            return state.response
        }
    }

    /// Lets ``wait(timeout:)`` return now.
    func abandon() {
        answered.signal()
    }

    private func answer(_ response: FastCGIResponse) {
        state.withLock { $0.response = response }
        answered.signal()
    }
}

import Dispatch
import Synchronization

/// Something that a worker thread waits for, and can be told not to.
protocol Abandonable: AnyObject, Sendable {
    /// Lets whoever waits go on now.
    func abandon()
}

/// One request with the handler, or one part of its response, and the worker thread that waits for the answer.
final class Exchange<Response: Sendable>: Abandonable {
    private struct State {
        var response: Response?
        var task: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let answered = DispatchSemaphore(value: 0)

    /// Starts the handler.
    init(_ handler: @escaping @Sendable () async -> Response) {
        let task = Task { self.answer(await handler()) }
        state.withLock { $0.task = task }
    }

    /// Blocks the calling thread until there is an answer.
    ///
    /// - Returns: the handler's response, or `nil` after `timeout` or ``abandon()``; the handler's task is
    ///   then cancelled.
    func wait(timeout: Duration) -> Response? {
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

    private func answer(_ response: Response) {
        state.withLock { $0.response = response }
        answered.signal()
    }
}

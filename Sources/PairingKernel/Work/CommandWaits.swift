import Synchronization

/// Who waits in this process for a command to end. Thread-safe.
final class CommandWaits: Sendable {
    private struct State {
        var count: UInt64 = 0
        var waits: [String: [UInt64: AsyncStream<Void>.Continuation]] = [:]
    }

    private let state = Mutex(State())

    /// Somebody waits for a call's end.
    ///
    /// - Returns: the wait's number, and what yields each time it is worth looking; wakes that come together are one.
    func begin(_ key: String) -> (id: UInt64, wakes: AsyncStream<Void>) {
        let (wakes, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.count += 1
            state.waits[key, default: [:]][state.count] = continuation
            return state.count
        }
        return (id, wakes)
    }

    /// It is waited for no more.
    func end(_ key: String, _ id: UInt64) {
        let continuation = state.withLock { state in
            let continuation = state.waits[key]?.removeValue(forKey: id)
            if state.waits[key]?.isEmpty == true { state.waits[key] = nil }
            return continuation
        }
        continuation?.finish()
    }

    /// The call may have ended.
    func wake(_ key: String) {
        let continuations = state.withLock { $0.waits[key].map { Array($0.values) } ?? [] }
        for continuation in continuations { continuation.yield() }
    }
}

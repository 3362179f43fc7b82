import PairingCore
import Synchronization

/// Lets a few through at once and a bounded number wait, so that those whom nobody knows yet neither take the
/// database's connections from paired devices nor fill the room in which these wait for one (I10).
final class Gate: Sendable {
    private struct State {
        var inside = 0
        var waiting: [CheckedContinuation<Void, any Error>] = []
    }

    private let state = Mutex(State())
    private let width: Int
    private let capacity: Int

    /// - Parameters:
    ///   - width: how many may be inside at once.
    ///   - capacity: how many may wait for that; more are refused.
    init(width: Int, capacity: Int = 512) {
        self.width = width
        self.capacity = capacity
    }

    /// How many wait to be let in.
    var waiting: Int { state.withLock(\.waiting.count) }

    /// Carries out `body` once it is this caller's turn, in the order of arrival.
    ///
    /// - Throws: what `body` throws; a `RESOURCE_EXHAUSTED` refusal where too many wait.
    func pass<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let answer = state.withLock { state -> Result<Void, any Error>? in
                if state.inside < width {
                    state.inside += 1
                    return .success(())
                }
                guard state.waiting.count < capacity else { return .failure(Refusal.overloaded) }
                state.waiting.append(continuation)
                return nil
            }
            if let answer { continuation.resume(with: answer) }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            if state.waiting.isEmpty {
                state.inside -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}

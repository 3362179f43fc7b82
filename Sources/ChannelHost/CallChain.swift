import PairingCore
import Synchronization

/// Calls for one session, each of which begins when the one before it has ended: on the thread that ended it, so that
/// many cost one hand-over to the channel's threads and back.
final class CallChain<Value: Sendable>: Sendable {
    /// Begins a call; its completion is called once, at once or later, on any thread.
    typealias Start =
        @Sendable (_ index: Int, _ completion: @escaping LoadedChannel.Completion<Value>) -> Void

    private struct State {
        var results: [Result<Value, Refusal>] = []
        var continuation: CheckedContinuation<[Result<Value, Refusal>], Never>?
    }

    private let count: Int
    private let endsWithFailure: Bool
    private let start: Start
    private let state = Mutex(State())

    private init(count: Int, endsWithFailure: Bool, start: @escaping Start) {
        self.count = count
        self.endsWithFailure = endsWithFailure
        self.start = start
    }

    /// Waits for the ends of all.
    ///
    /// - Parameter endsWithFailure: whether none begins behind one that fails.
    /// - Returns: how each ended that began, in their order.
    static func run(
        count: Int, endsWithFailure: Bool = false, start: @escaping Start
    ) async -> [Result<Value, Refusal>] {
        if count == 0 { return [] }
        let chain = CallChain(count: count, endsWithFailure: endsWithFailure, start: start)
        return await withCheckedContinuation { continuation in
            chain.state.withLock { $0.continuation = continuation }
            chain.begin(0)
        }
    }

    private func begin(_ index: Int) { start(index) { [self] in ended(index, $0) } }

    private func ended(_ index: Int, _ result: Result<Value, Refusal>) {
        let isFailure = if case .failure = result { true } else { false }
        let isLast = index + 1 == count || isFailure && endsWithFailure
        let (results, continuation) = state.withLock { state in
            state.results.append(result)
            return isLast ? (state.results, state.continuation.take()) : ([], nil)
        }
        if isLast { continuation?.resume(returning: results) } else { begin(index + 1) }
    }
}

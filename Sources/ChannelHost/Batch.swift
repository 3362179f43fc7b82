import Synchronization

/// Gathers the values of calls that end in any order.
final class Batch<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value?]
        var missing: Int
    }

    private let state: Mutex<State>
    private let completion: @Sendable ([Value]) -> Void

    /// - Parameter completion: called once, when every value is there; at once where there is none.
    init(count: Int, completion: @escaping @Sendable ([Value]) -> Void) {
        state = Mutex(State(values: Array(repeating: nil, count: count), missing: count))
        self.completion = completion
        if count == 0 { completion([]) }
    }

    /// Puts a value into its place; once for each place.
    func put(_ value: Value, at index: Int) {
        let values = state.withLock { state -> [Value?]? in
            state.values[index] = value
            state.missing -= 1
            return state.missing == 0 ? state.values : nil
        }
        if let values { completion(values.compactMap { $0 }) }
    }
}

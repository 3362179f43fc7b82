/// Lets so many in at once, in the order of their arrival: each test with a database of its own holds many
/// connections, and all tests of the package run side by side in one process.
public actor Turnstile {
    /// For tests that hold a pool or more of a cluster's connections.
    public static let databases = Turnstile(places: 8)

    private var places: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameter places: how many are in at once; at least 1.
    public init(places: Int) { self.places = places }

    /// Runs `body` when there is a place. One that is in must not ask for another.
    public nonisolated(nonsending) func pass<Result: Sendable>(
        _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        await enter()
        do {
            let result = try await body()
            await leave()
            return result
        } catch {
            await leave()
            throw error
        }
    }

    private func enter() async {
        guard places == 0 else {
            places -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    private func leave() {
        if waiting.isEmpty {
            places += 1
        } else {
            waiting.removeFirst().resume()
        }
    }
}

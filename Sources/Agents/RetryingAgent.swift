/// An agent that is asked again, after its pauses, where asking again makes sense.
///
/// For whoever keeps no queue of its own that does so. What waits holds no place among an agent's requests.
package struct RetryingAgent: Agent {
    package var name: String { agent.name }
    package var retries: RetryPolicy { agent.retries }
    package var context: ContextLimits { agent.context }
    private let agent: any Agent
    private let sleep: @Sendable (Duration) async throws -> Void

    /// - Parameter sleep: how the pauses are waited for.
    package init(
        _ agent: any Agent,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.agent = agent
        self.sleep = sleep
    }

    /// Asks until there is an answer, a failure for good, or no attempt left.
    ///
    /// An attempt begins anew: its parts replace those of the attempt that failed.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        var attempt = 1
        while true {
            do throws(AgentFailure) {
                return try await agent.answer(request, part: part)
            } catch {
                guard !Task.isCancelled, let pause = retries.pause(afterAttempt: attempt, failure: error)
                else { throw error }
                guard (try? await sleep(pause)) != nil else {
                    throw AgentFailure(.cancelled, "The answer was not waited for.")
                }
                attempt += 1
            }
        }
    }
}

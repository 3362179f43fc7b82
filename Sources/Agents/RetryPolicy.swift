/// When a request that failed is tried again: a pure rule.
package struct RetryPolicy: Sendable, Equatable {
    /// How often a request is made at most, the first time included; 1 or more.
    package var attempts = 10
    /// The pause after the first failure; it doubles with each further one.
    package var firstPause = Duration.seconds(1)
    /// The longest pause.
    package var longestPause = Duration.seconds(60)

    /// The rule as shipped: an agent that is back after two minutes has lost nothing.
    package init() {}

    /// How long to wait before the next attempt.
    ///
    /// - Parameters:
    ///   - attempt: how many attempts were made, 1 or more.
    ///   - failure: how the newest ended. What it asks for in ``AgentFailure/retryAfter`` is a lower bound.
    ///   - jitter: 0 to 1, drawn anew each time, so that those who failed together do not come back together.
    /// - Returns: `nil` where another attempt makes no sense, or none is left.
    package func pause(
        afterAttempt attempt: Int, failure: AgentFailure, jitter: Double = .random(in: 0...1)
    ) -> Duration? {
        guard failure.isRetryable, attempt < attempts else { return nil }
        let doubled = firstPause * (1 << min(max(attempt - 1, 0), 20))
        // Half of the pause is certain, so that a retry is never at once.
        let pause = min(doubled, longestPause) * (0.5 + 0.5 * min(max(jitter, 0), 1))
        return max(pause, failure.retryAfter ?? .zero)
    }
}

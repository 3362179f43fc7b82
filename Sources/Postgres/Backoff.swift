/// How long to wait before the next attempt to connect: doubled with every failure, and spread at random, so that a
/// server that comes back isn't met by everybody at once.
enum Backoff {
    static let first: Duration = .milliseconds(100)
    static let longest: Duration = .seconds(2)

    /// - Parameters:
    ///   - failures: how many attempts failed in a row; at least 1.
    ///   - jitter: 0 for half of the delay, 1 for all of it.
    static func delay(failures: Int, jitter: Double) -> Duration {
        let doubled = first * (1 << min(max(failures, 1) - 1, 16))
        return min(doubled, longest) * (0.5 + jitter / 2)
    }
}

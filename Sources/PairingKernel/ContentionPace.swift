import PairingCore
import Synchronization

/// How often the sessions of one device may replace each other here.
///
/// Two programs with one credential, each of which connects again when the other one closed it, would go on without
/// end. A pure machine.
struct ContentionPace {
    /// Replacements at once, before a device has to wait.
    static let burst = 6.0
    /// How long one replacement counts.
    static let period = Duration.seconds(15)
    /// How many devices are remembered before those that count for nothing are forgotten.
    private static let pruneAt = 4096

    private struct Count {
        var number: Double
        var at: Duration

        func left(at now: Duration) -> Double { max(0, number - (now - at) / ContentionPace.period) }
    }

    private var counts: [String: Count] = [:]

    /// A session of the device was replaced by a newer one.
    mutating func replaced(_ key: String, now: Duration) {
        let left = counts[key]?.left(at: now) ?? 0
        counts[key] = Count(number: min(left, 2 * Self.burst) + 1, at: now)
        if counts.count > Self.pruneAt { counts = counts.filter { $0.value.left(at: now) > 0 } }
    }

    /// How long the device has to wait before its next session.
    func wait(of key: String, now: Duration) -> Duration? {
        guard let left = counts[key]?.left(at: now), left > Self.burst - 1 else { return nil }
        return max(.seconds(1), Self.period * (left - Self.burst + 1))
    }
}

extension DeviceSessions {
    private static let start = ContinuousClock.now

    func noteReplacement(of key: String) {
        contention.withLock { $0.replaced(key, now: ContinuousClock.now - Self.start) }
    }

    /// - Throws: `RESOURCE_EXHAUSTED` where sessions of the device replaced each other here too often.
    func checkContention(of senderID: SenderID) throws(Refusal) {
        let wait = contention.withLock { $0.wait(of: senderID.key, now: ContinuousClock.now - Self.start) }
        guard let wait else { return }
        throw Refusal(.replacedTooOften, retryAfter: wait)
    }
}

/// Counts what happens in a minute, against a bound.
struct MinuteWindow {
    private let bound: Int
    private var minute: Int64 = .min
    private var count = 0

    init(bound: Int) { self.bound = bound }

    /// Counts once.
    ///
    /// - Parameter now: monotonic seconds.
    /// - Returns: whether the bound was not reached before.
    mutating func admit(at now: Int64) -> Bool {
        move(to: now)
        count += 1
        return count <= bound
    }

    /// Whether the bound is reached for the rest of this minute.
    mutating func isExhausted(at now: Int64) -> Bool {
        move(to: now)
        return count >= bound
    }

    private mutating func move(to now: Int64) {
        guard now / 60 != minute else { return }
        minute = now / 60
        count = 0
    }
}

import PairingCore

/// Which requests are recorded: a share of all, those that the sender of a request has recorded as well, and never more
/// than so many a second, so that no stranger's header makes work without end.
struct TraceSampler: Sendable {
    private let percent: Int
    private var room: TokenBucket

    /// - Parameters:
    ///   - percent: how many of a hundred requests are recorded, 0...100.
    ///   - perSecond: the most that begin in a second; as many may begin at once.
    init(percent: Int, perSecond: Int, now: Duration) {
        self.percent = percent
        room = TokenBucket(perSecond: Double(perSecond), burst: Double(max(1, perSecond)), now: now)
    }

    /// - Parameters:
    ///   - traceID: 32 hexadecimal digits. Every process decides the same by them.
    ///   - isWanted: whether the request's sender records it.
    mutating func records(_ traceID: String, isWanted: Bool, now: Duration) -> Bool {
        guard isWanted || isOfTheShare(traceID) else { return false }
        return room.take(now: now) == nil
    }

    /// The last digits are the random ones (W3C Trace Context, §5.1).
    private func isOfTheShare(_ traceID: String) -> Bool {
        guard percent < 100 else { return true }
        guard let number = UInt32(traceID.suffix(8), radix: 16) else { return false }
        return UInt64(number) * 100 < UInt64(percent) << 32
    }
}

/// How much of a channel's misbehaviour each of its devices has brought about in this minute.
///
/// A device chooses what its channel has to handle: what goes wrong there is charged to the device before the
/// channel, so that one device cannot put the channel out of service for all others.
struct SenderFaults {
    /// Faults a minute that a device can charge to its channel.
    private let share: Int
    /// Devices that are remembered.
    private let capacity: Int
    private var minute: Int64 = .min
    /// By the key of the sender ID.
    private var counts: [String: Int] = [:]

    init(share: Int, capacity: Int = 4096) {
        self.share = share
        self.capacity = capacity
    }

    /// Charges a fault to a device. One that there is no room to remember has no share of its own: by then
    /// more devices than ``capacity`` have seen the channel fail in one minute.
    ///
    /// - Parameters:
    ///   - sender: the key of the sender ID.
    ///   - now: monotonic seconds.
    /// - Returns: whether the channel is charged too.
    mutating func charge(_ sender: String, at now: Int64) -> Bool {
        move(to: now)
        guard let count = counts[sender] ?? (counts.count < capacity ? 0 : nil) else { return true }
        counts[sender] = min(count + 1, share + 1)
        return count < share
    }

    /// How long the device's calls are to be kept from the channel.
    ///
    /// - Parameters:
    ///   - sender: the device, whose key is asked for only where any device has brought about a fault.
    ///   - now: monotonic seconds.
    /// - Returns: `nil` where they may pass.
    mutating func pause(of sender: @autoclosure () -> String, at now: Int64) -> Duration? {
        move(to: now)
        guard !counts.isEmpty, counts[sender(), default: 0] >= share else { return nil }
        return .seconds(60 - now % 60)
    }

    /// All windows end with the minute, together.
    private mutating func move(to now: Int64) {
        guard now / 60 != minute else { return }
        minute = now / 60
        counts.removeAll()
    }
}

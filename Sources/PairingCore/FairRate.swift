/// A rate that strangers share by network block and, within one, by address (I13).
///
/// What was taken fades with a time constant of a second. A block may take as long as it has less than there is left
/// of the whole: so however many take all they can, as much is left for the next one to come as each of them has
/// (Choudhury and Hahne, "Dynamic queue length thresholds", 1998). A block that took nothing lately always finds one,
/// and so, with less of it, does an address in a block that took much. Time is given, never read.
public struct FairRate: Sendable {
    /// What was taken, less what has faded: by e in a second, in sixteen steps.
    private struct Level: Sendable {
        var amount = 0.0
        var step: Int64

        mutating func fade(to step: Int64) {
            guard step > self.step else { return }
            // Nothing worth the name is left after 16 s.
            var steps = min(step - self.step, 256)
            var factor = Self.factor
            while steps > 0 {
                if steps & 1 == 1 { amount *= factor }
                factor *= factor
                steps >>= 1
            }
            self.step = step
        }

        /// e to the power of -1/16.
        static let factor = 0.939_413_062_813_475_8
        static let stepsPerSecond: Int64 = 16
    }

    private let perSecond: Double
    private var whole: Level
    private var blocks: [String: Level] = [:]
    private var addresses: [String: Level] = [:]
    private var forgotAt: Int64

    /// - Parameters:
    ///   - perSecond: the rate of all together; a block that took nothing lately may lead to twice of it.
    ///   - now: a monotonic time, on the same scale as every later call's.
    public init(perSecond: Double, now: Duration) {
        self.perSecond = perSecond
        let step = Self.step(now)
        whole = Level(step: step)
        forgotAt = step
    }

    /// How many addresses and blocks are remembered.
    var remembered: Int { blocks.count + addresses.count }

    /// Takes one where the address's share allows it.
    ///
    /// - Returns: `nil` when it was taken; else how long to wait before it is worth another try.
    public mutating func take(_ address: ClientAddress, now: Duration) -> Duration? {
        let now = Self.step(now)
        whole.fade(to: now)
        forget(now: now)
        var block = blocks[address.networkBlock] ?? Level(step: now)
        var own = addresses[address.limitKey] ?? Level(step: now)
        block.fade(to: now)
        own.fade(to: now)
        let isWithinShare = block.amount < perSecond - whole.amount
        let isNewBlock = block.amount < 1 && whole.amount < perSecond * 2
        let isNewAddress = own.amount < 1 && whole.amount < perSecond * 1.5
        guard isWithinShare || isNewBlock || isNewAddress else {
            return wait(block)
        }
        whole.amount += 1
        block.amount += 1
        own.amount += 1
        blocks[address.networkBlock] = block
        addresses[address.limitKey] = own
        return nil
    }

    /// Until the block has less than is left, if nobody takes anything meanwhile.
    private func wait(_ block: Level) -> Duration {
        var taken = block.amount + whole.amount
        var steps: Int64 = 1
        while taken * Level.factor >= perSecond, steps < 5 * Level.stepsPerSecond {
            taken *= Level.factor
            steps += 1
        }
        return .milliseconds(steps * 1000 / Level.stepsPerSecond)
    }

    private static func step(_ time: Duration) -> Int64 {
        let (seconds, attoseconds) = time.components
        return seconds * Level.stepsPerSecond + attoseconds
            / (1_000_000_000_000_000_000 / Level.stepsPerSecond)
    }

    /// Gives one back to whoever turned out to be no stranger. What the whole has left stays as it is: the work was
    /// done.
    public mutating func giveBack(_ address: ClientAddress, now: Duration) {
        let now = Self.step(now)
        Self.giveBack(&blocks[address.networkBlock], now)
        Self.giveBack(&addresses[address.limitKey], now)
    }

    private static func giveBack(_ level: inout Level?, _ now: Int64) {
        guard var left = level else { return }
        left.fade(to: now)
        left.amount = max(0, left.amount - 1)
        level = left
    }

    /// Once a second, so that a flood of addresses is remembered for seconds; it takes one each, so there are as many
    /// as the rate allows.
    private mutating func forget(now: Int64) {
        guard now - forgotAt >= Level.stepsPerSecond else { return }
        forgotAt = now
        blocks = blocks.filter { Self.isWorthKnowing($0.value, now) }
        addresses = addresses.filter { Self.isWorthKnowing($0.value, now) }
    }

    private static func isWorthKnowing(_ level: Level, _ now: Int64) -> Bool {
        var level = level
        level.fade(to: now)
        return level.amount > 0.05
    }
}

import Agents

/// Which of a web hook's deliveries are made, and when: pure. One round; what is left of it is the next one's.
///
/// Deliveries about one device are made one after the other, in order; those about different devices beside each other.
/// After a failure nothing new is begun: most often it is the receiver that fails, not the one delivery.
struct WebhookRound {
    /// A delivery to make.
    struct Item: Equatable {
        /// Its place; later ones are greater.
        var number: Int64
        /// What it is about; empty for what is about no device.
        var lane: String
    }

    /// How many are under way at most.
    static let width = 8

    /// In order; those that are under way or done are gone.
    private var waiting: [Item]
    private var underway: [Item] = []
    private var failed: [Int64] = []
    private var isStopped = false
    /// Those made though one before them was not.
    private(set) var ahead: Set<Int64>
    /// Everything up to it was looked at.
    private let end: Int64
    private let start: Int64
    /// Whether any delivery was made.
    private(set) var hasDelivered = false

    /// - Parameters:
    ///   - cursor: up to where everything is done.
    ///   - end: the last place that was looked at, wanted or not.
    ///   - items: what is wanted of what lies between, in order.
    ///   - ahead: those of them that a round before made already.
    init(after cursor: Int64, through end: Int64, _ items: [Item], ahead: Set<Int64> = []) {
        start = cursor
        self.end = end
        self.ahead = ahead.filter { $0 > cursor }
        waiting = items.filter { !ahead.contains($0.number) }
    }

    /// What is to be begun now; it is under way then.
    mutating func begin() -> [Item] {
        if isStopped { return [] }
        var lanes = Set(underway.map(\.lane))
        var begun: [Item] = []
        // A lane's first that cannot be begun keeps those behind it, too.
        for item in waiting where underway.count + begun.count < Self.width {
            if lanes.insert(item.lane).inserted { begun.append(item) }
        }
        underway += begun
        let numbers = Set(begun.map(\.number))
        waiting.removeAll { numbers.contains($0.number) }
        return begun
    }

    /// A delivery was made.
    mutating func delivered(_ number: Int64) {
        end(number)
        ahead.insert(number)
        hasDelivered = true
    }

    /// A delivery failed: nothing more is begun.
    mutating func failed(_ number: Int64) {
        end(number)
        failed.append(number)
        stop()
    }

    /// Nothing more is begun.
    mutating func stop() { isStopped = true }

    private mutating func end(_ number: Int64) { underway.removeAll { $0.number == number } }

    /// Whether nothing is under way, nor will be.
    var isOver: Bool { underway.isEmpty && (isStopped || waiting.isEmpty) }

    /// Up to where everything is done.
    var cursor: Int64 {
        let open = (waiting + underway).map(\.number) + failed
        return open.min().map { max(start, $0 - 1) } ?? end
    }

    /// Those beyond ``cursor`` that need not be made again.
    var done: Set<Int64> { ahead.filter { $0 > cursor } }
}

/// What becomes of a web hook after a failure: pure.
struct WebhookPatience: Sendable, Equatable {
    /// After how long without any delivery getting through it is told nothing any more.
    var disableAfter: Duration

    /// - Parameters:
    ///   - attempts: how many rounds failed before this one, in a row.
    ///   - failing: for how long nothing got through; `nil` where something did until now.
    ///   - retryAfter: what the receiver asks for.
    ///   - jitter: 0 to 1.
    /// - Returns: when to try again; `nil` for never.
    func pause(
        afterAttempts attempts: Int, failing: Duration?, retryAfter: Duration?,
        jitter: Double = .random(in: 0...1)
    ) -> Duration? {
        if let failing, failing >= disableAfter { return nil }
        var policy = RetryPolicy()
        policy.attempts = .max
        policy.longestPause = .seconds(3600)
        return policy.pause(
            afterAttempt: attempts + 1, failure: AgentFailure(.unreachable, "", retryAfter: retryAfter),
            jitter: jitter)
    }
}

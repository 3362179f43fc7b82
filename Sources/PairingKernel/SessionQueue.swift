import PairingStore

/// The work of one session that waits for its turn: one thing at a time, in order, bounded.
struct SessionQueue: Sendable {
    /// Messages that may be on their way to an answer: those being accepted, those that wait, and the one at work.
    static let capacity = 256
    /// Their bytes, as devices sent them; one message may be all of them.
    static let capacityBytes = 4 << 20

    /// Something to do for a session.
    enum Work: Sendable, Equatable {
        /// Deliver what the device has not acknowledged, and answer what was not answered.
        case catchUp
        /// Have what is accepted and unanswered answered.
        case answerOpen
        /// Have what this message became answered, then give its place back: as many bytes as were reserved.
        case answer(sequence: Int64, forwarded: [PairingStore.ForwardedMessage], bytes: Int)
    }

    private var waiting: [Work] = []
    private var places = 0
    private var bytes = 0
    private var isRunning = false

    /// Takes a place for a message that is about to be accepted.
    ///
    /// - Returns: `false` where the queue is full: the message must not be accepted.
    mutating func reserve(bytes cost: Int) -> Bool {
        guard places < Self.capacity, places == 0 || bytes + cost <= Self.capacityBytes else { return false }
        places += 1
        bytes += cost
        return true
    }

    /// Gives a place back: its message was not accepted, needs no answer, or was worked on.
    mutating func release(bytes cost: Int) {
        places -= 1
        bytes -= cost
    }

    /// Appends work; a message is in the place that was reserved for it.
    ///
    /// - Returns: whether somebody has to run the queue now.
    mutating func append(_ work: Work) -> Bool {
        // Once is enough, however often it is asked for.
        if work == .answerOpen, waiting.contains(.answerOpen) { return false }
        waiting.append(work)
        if isRunning { return false }
        isRunning = true
        return true
    }

    /// Everything that waits, in order; empty when the runner has to stop.
    mutating func take() -> [Work] {
        defer { waiting = [] }
        if waiting.isEmpty { isRunning = false }
        return waiting
    }
}

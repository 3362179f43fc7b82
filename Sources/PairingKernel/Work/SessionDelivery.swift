import PairingStore

/// Which messages a session hands out to its device, strictly by number: a pure machine.
///
/// What was stored a moment ago is in hand, if it follows what was handed out last; everything else is read from the
/// store, so that nothing overtakes what somebody else stored.
struct SessionDelivery: Sendable {
    /// What is to be done next.
    enum Step: Sendable, Equatable {
        /// Hand these out, in their order; then ``handedOut(_:)``.
        case deliver([PairingStore.StoredMessage])
        /// Read what is stored after this number.
        case read(after: Int64)
        case nothing
    }

    /// Messages in hand at most, and their bytes.
    static let capacity = (messages: 64, bytes: 256 << 10)
    /// Messages that are handed out at once at most, and their bytes after the first.
    static let portion = (messages: 16, bytes: 16 << 10)

    /// The number up to which the device was handed everything that was for it.
    private(set) var delivered: Int64
    /// Whether something is stored that is not in hand.
    private var isBehind: Bool
    private var hand: [PairingStore.StoredMessage] = []
    private var handBytes = 0
    private var isRunning = false
    private var isReading = false
    /// Nothing is handed out before the device knows that it is connected.
    private var hasStarted = false

    init(delivered: Int64 = 0, hasBacklog: Bool = false) {
        self.delivered = delivered
        isBehind = hasBacklog
    }

    /// Messages were stored, and claimed for this session.
    ///
    /// - Returns: whether somebody has to carry out the steps now.
    mutating func stored(_ messages: [PairingStore.StoredMessage]) -> Bool {
        for message in messages {
            let last = hand.last?.sequence ?? delivered
            guard message.sequence > last else { continue }
            guard !isBehind, !isReading, message.sequence == last + 1, hand.count < Self.capacity.messages,
                handBytes < Self.capacity.bytes
            else {
                isBehind = true
                break
            }
            hand.append(message)
            handBytes += message.body.utf8.count
        }
        return begin()
    }

    /// Something may be stored that nobody here has heard of.
    ///
    /// - Returns: whether somebody has to carry out the steps now.
    mutating func look() -> Bool {
        isBehind = true
        return begin()
    }

    /// The session has begun.
    ///
    /// - Returns: whether somebody has to carry out the steps now.
    mutating func start() -> Bool {
        hasStarted = true
        return begin()
    }

    private mutating func begin() -> Bool {
        guard hasStarted, !isRunning, isBehind || !hand.isEmpty else { return false }
        isRunning = true
        return true
    }

    /// What to do next; after ``Step/nothing`` somebody else begins.
    mutating func next() -> Step {
        if !hand.isEmpty {
            var room = Self.portion.bytes
            let portion = hand.prefix(Self.portion.messages).prefix { message in
                defer { room -= message.body.utf8.count }
                return room > 0
            }
            return .deliver(Array(portion))
        }
        if isBehind {
            isBehind = false
            isReading = true
            return .read(after: delivered)
        }
        isRunning = false
        return .nothing
    }

    /// The first messages in hand were handed out, or are not to be.
    mutating func handedOut(_ count: Int = 1) {
        guard count > 0, let last = hand.prefix(count).last else { return }
        handBytes -= hand.prefix(count).reduce(0) { $0 + $1.body.utf8.count }
        hand.removeFirst(min(count, hand.count))
        delivered = last.sequence
    }

    /// This is what is stored after ``delivered``.
    ///
    /// - Parameter newest: the number of the newest message, settled or not.
    mutating func read(_ messages: [PairingStore.StoredMessage], newest: Int64) {
        isReading = false
        hand = messages.filter { $0.sequence > delivered }
        handBytes = hand.reduce(0) { $0 + $1.body.utf8.count }
        if hand.isEmpty {
            delivered = max(delivered, newest)
        } else if (hand.last?.sequence ?? 0) < newest {
            isBehind = true
        }
    }

    /// What is in hand was claimed too long ago: it is claimed again (I3).
    mutating func putDown() {
        guard !hand.isEmpty else { return }
        hand = []
        handBytes = 0
        isBehind = true
    }

    /// Whether anything is in hand.
    var hasMoreInHand: Bool { !hand.isEmpty }
}

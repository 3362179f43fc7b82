import NIOCore
import NodesProtocol
import PairingCore

/// What one socket has been told, and by when it has to have asked: its nonce, the numbers of its events, its
/// deadlines. Who is at its other end is ``DeviceExchange``'s.
struct DeviceConversation {
    /// How many first-request timeouts a stranger has in all: else a few addresses could fill the strangers'
    /// room for good with attempts that fail, and no device could come back through it.
    static let strangersAttempts = 20

    private let timeout: Duration
    private let makeNonce: @Sendable () -> String
    private let clock: WallClock
    /// By when a stranger has to have asked for something that counts.
    private var deadline: NIODeadline
    /// By when a stranger has to be somebody, whatever it asks for.
    private var lastDeadline: NIODeadline
    /// By when a waiting socket has to have been told how its request ended: a little after the request's own time.
    private var waitingDeadline: NIODeadline
    private var nonce: String?
    private var sequence: Int64 = 0

    init(
        timeout: Duration, makeNonce: @escaping @Sendable () -> String, clock: @escaping WallClock,
        now: NIODeadline
    ) {
        self.timeout = timeout
        self.makeNonce = makeNonce
        self.clock = clock
        deadline = now + TimeAmount(timeout)
        waitingDeadline = deadline
        lastDeadline = now + TimeAmount(timeout * Self.strangersAttempts)
    }

    // MARK: Nonces

    /// A new nonce, as `device.challenge` and the event `connect.challenge` give it; the one before is worth nothing.
    mutating func challenge() -> JSONValue {
        let new = makeNonce()
        nonce = new
        return .object(["nonce": .string(new), "ts": .integer(clock().milliseconds)])
    }

    /// The nonce, for one proof.
    mutating func spendNonce() -> String? {
        defer { nonce = nil }
        return nonce
    }

    // MARK: Events

    /// The next event of this server's own.
    mutating func event(_ name: ClientEventName, _ payload: JSONValue) -> ServerFrame {
        sequence += 1
        return .event(name, payload: payload, seq: sequence)
    }

    /// The next event of a channel.
    ///
    /// - Parameter payload: JSON text.
    mutating func channelEvent(_ name: String, payload: String) -> ServerFrame {
        sequence += 1
        return .channelEvent(name, payload: payload, seq: sequence)
    }

    // MARK: Deadlines

    /// An attempt counts, whether it succeeds or not; a stranger has to make another before the next
    /// deadline, so that no socket is held for nothing.
    mutating func attempted(now: NIODeadline) {
        deadline = min(now + TimeAmount(timeout), lastDeadline)
    }

    /// The socket is a stranger's again.
    mutating func restart(now: NIODeadline) {
        lastDeadline = now + TimeAmount(timeout * Self.strangersAttempts)
        attempted(now: now)
    }

    /// The socket waits for a decision on a request that has this time left.
    mutating func wait(_ time: Duration, now: NIODeadline) {
        waitingDeadline = now + TimeAmount(time + timeout)
    }

    /// Whether a waiting socket has waited for too long.
    func hasWaited(now: NIODeadline) -> Bool { now >= waitingDeadline }

    /// Why a stranger is out of time; `nil` while it is not.
    func strangerIsLate(now: NIODeadline) -> String? {
        guard now >= deadline else { return nil }
        // One that keeps on asking is only ended by the last deadline.
        let hasAsked = now >= lastDeadline
        let time = timeout * (hasAsked ? Self.strangersAttempts : 1)
        return "no connect or device.pair.request \(hasAsked ? "succeeded " : "")within "
            + "\(time.milliseconds / 1000) s"
    }
}

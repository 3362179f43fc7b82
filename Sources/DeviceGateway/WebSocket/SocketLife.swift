import NIOCore
import NIOWebSocket

/// How long a socket waits for what.
public struct WebSocketTimes: Sendable, Equatable {
    /// Between pings.
    public var ping: TimeAmount
    /// Without a byte from the client before it is given up.
    public var silence: TimeAmount
    /// For the client's answer to a close frame.
    public var close: TimeAmount
    /// For the client to end the connection after the server has ended its side.
    public var drain: TimeAmount
    /// For a client for which there is no room to read that; looked at as often as everything else.
    var dismissal: TimeAmount { .milliseconds(250) }

    /// How often sockets look at the clock: once a second, or more often for short times in tests.
    var sweep: TimeAmount { min(.seconds(1), TimeAmount.nanoseconds(ping.nanoseconds / 2)) }

    /// Wraps the times.
    public init(
        ping: TimeAmount = .seconds(30), silence: TimeAmount = .seconds(75), close: TimeAmount = .seconds(5),
        drain: TimeAmount = .seconds(2)
    ) {
        self.ping = ping
        self.silence = silence
        self.close = close
        self.drain = drain
    }
}

/// The life of a WebSocket after its handshake: closing in order (RFC 6455 §7.1) and staying alive.
///
/// The server ends a connection by sending a close frame, ending its own side, and reading on for a moment:
/// closing at once with unread bytes would reset the connection and could take the close frame with it.
struct SocketLife: Equatable {
    /// What to do next; several where both a frame is sent and the side is ended.
    enum Action: Equatable {
        case none
        /// Send a ping.
        case ping
        /// Send a close frame and keep reading for the client's.
        case sendClose(WebSocketErrorCode?, reason: String)
        /// Send a close frame, then end this side.
        case sendCloseAndEnd(WebSocketErrorCode?, reason: String)
        /// End this side after what is queued.
        case end
        /// Close the connection, whatever is queued.
        case drop
    }

    private enum Phase: Equatable {
        /// Both sides may send. Goes to each of the others.
        case open
        /// The server sent its close frame and waits for the client's. Goes to `ended` and `dropped`.
        case closing(until: NIODeadline)
        /// The server has ended its side and ignores what still comes. Goes to `dropped`.
        case ended(until: NIODeadline)
        /// The connection is being closed. Final.
        case dropped
    }

    var times: WebSocketTimes
    private var phase = Phase.open
    private var lastHeard: NIODeadline
    private var lastPing: NIODeadline

    init(times: WebSocketTimes, now: NIODeadline) {
        self.times = times
        lastHeard = now
        lastPing = now
    }

    /// Whether messages are sent and delivered.
    var isOpen: Bool { phase == .open }

    /// Whether the client's frames are still read, if only for its close frame.
    var readsFrames: Bool {
        switch phase {
        case .open, .closing: true
        case .ended, .dropped: false
        }
    }

    /// Bytes came.
    mutating func heard(now: NIODeadline) { lastHeard = now }

    /// The server wants to close.
    mutating func close(_ code: WebSocketErrorCode, reason: String, now: NIODeadline) -> Action {
        switch phase {
        case .open:
            phase = .closing(until: now + times.close)
            return .sendClose(code, reason: reason)
        case .closing, .ended, .dropped: return .none
        }
    }

    /// There is no room for the socket: it is told so, and its client has no more than `dismissal` to read that,
    /// whether it answers or not.
    mutating func dismiss(_ code: WebSocketErrorCode, reason: String, now: NIODeadline) -> Action {
        let until = now + times.dismissal
        switch phase {
        case .open:
            phase = .ended(until: until)
            return .sendCloseAndEnd(code, reason: reason)
        case .closing:
            phase = .ended(until: until)
            return .end
        case .ended(let old):
            phase = .ended(until: min(old, until))
            return .none
        case .dropped: return .none
        }
    }

    /// The client's close frame came.
    mutating func closeReceived(_ code: WebSocketErrorCode?, now: NIODeadline) -> Action {
        switch phase {
        case .open:
            phase = .ended(until: now + times.drain)
            return .sendCloseAndEnd(code, reason: "")
        case .closing:
            phase = .ended(until: now + times.drain)
            return .end
        case .ended, .dropped: return .none
        }
    }

    /// The client broke the rules: nothing it sends can be understood any more.
    mutating func violated(_ violation: WebSocketViolation, now: NIODeadline) -> Action {
        switch phase {
        case .open:
            phase = .ended(until: now + times.drain)
            return .sendCloseAndEnd(violation.code, reason: violation.reason)
        case .closing:
            phase = .ended(until: now + times.drain)
            return .end
        case .ended, .dropped: return .none
        }
    }

    /// A second has passed.
    mutating func tick(now: NIODeadline) -> Action {
        switch phase {
        case .open:
            if now - lastHeard >= times.silence {
                phase = .ended(until: now + times.drain)
                return .sendCloseAndEnd(.goingAway, reason: "no answer to pings")
            }
            if now - lastPing >= times.ping {
                lastPing = now
                return .ping
            }
            return .none
        case .closing(let until):
            guard now >= until else { return .none }
            phase = .ended(until: now + times.drain)
            return .end
        case .ended(let until):
            guard now >= until else { return .none }
            phase = .dropped
            return .drop
        case .dropped: return .none
        }
    }
}

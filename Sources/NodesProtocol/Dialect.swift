import PairingCore

/// What comes of a frame that a codec has read or is to write. A codec translates; it decides nothing.
public enum DialectStep: Sendable, Equatable {
    /// Ask for this; the answer comes back under the identifier, which is the codec's own.
    case ask(id: String, DeviceRequest)
    /// Send this text.
    case send(String)
    /// Send a ping with this number; ``Dialect/ponged(_:)`` is told of its answer.
    case ping(Int64)
    /// Close the socket.
    case close(CloseCode, String)
}

/// How a socket is ended in a dialect.
public struct DialectEnd: Sendable, Equatable {
    /// The frame before it; `nil` for none.
    public var lastWords: String?
    /// The code of the close frame.
    public var code: CloseCode
    /// At most 123 bytes.
    public var reason: String

    /// Wraps the parts.
    public init(_ code: CloseCode, _ reason: String, lastWords: String? = nil) {
        self.code = code
        self.reason = reason
        self.lastWords = lastWords
    }
}

/// Another spelling of the wire than this server's own, for one socket: its clients' frames in, this server's requests
/// out, and the other way round. Every rule is the server's; here nothing is decided but how things are said.
///
/// A pure machine; used by one thread at a time.
public protocol Dialect: Sendable {
    /// A frame of the client came, or what is none.
    mutating func read(_ result: Result<RequestFrame, FrameRefusal>, now: Timestamp) -> [DialectStep]
    /// The server has something to say.
    mutating func write(_ frame: ServerFrame, now: Timestamp) -> [DialectStep]
    /// The client's library has answered a ping, so that it has read what came before.
    mutating func ponged(_ number: Int64) -> [DialectStep]
    /// About a second has passed.
    mutating func ticked(now: Timestamp) -> [DialectStep]
    /// The server closes the socket.
    func closing(_ code: CloseCode, _ reason: String) -> DialectEnd
}

/// What a client has been sent and is to acknowledge by the pong that follows it, for dialects that have no
/// acknowledgement of their own. One ping at a time is under way: while many messages come, one pong is for several.
struct PongAcknowledgement: Sendable, Equatable {
    private var newest: Int64 = 0
    private var pinged: Int64 = 0
    private var acknowledged: Int64 = 0

    /// A message of this number was sent.
    ///
    /// - Returns: the number to ping with; `nil` while the answer to another ping is awaited.
    mutating func sent(_ number: Int64) -> Int64? {
        newest = max(newest, number)
        guard pinged == acknowledged, newest > pinged else { return nil }
        pinged = newest
        return newest
    }

    /// A pong came.
    ///
    /// - Returns: up to which number everything is acknowledged, and what to ping with next. `nil` for a pong that
    ///   answers no ping, as a client may send one by itself (RFC 6455 §5.5.3).
    mutating func ponged(_ number: Int64) -> (acknowledged: Int64, next: Int64?)? {
        guard number == pinged, number > acknowledged else { return nil }
        acknowledged = number
        guard newest > pinged else { return (number, nil) }
        pinged = newest
        return (number, newest)
    }
}

/// What a first frame says about the dialect of its client.
public enum DialectChoice: Sendable, Equatable {
    /// The next frame may tell; until then this server's own is spoken.
    case undecided
    /// It is this one, which is served.
    case spoken(DialectName)
    /// It is this one, which is not served.
    case notServed(DialectName)
}

extension RequestFrame {
    /// Which dialect is spoken to a client whose first frame this is.
    public func choice(among served: Set<DialectName>) -> DialectChoice {
        guard let dialect else { return .undecided }
        return served.contains(dialect) ? .spoken(dialect) : .notServed(dialect)
    }

    /// Which dialect a client speaks whose first frame this is, where the path told nothing; `nil` where it could be
    /// any's.
    ///
    /// An administrator's `connect` with a token alone and an empty one are this server's own, which says what is missing.
    var dialect: DialectName? {
        let has = { (name: String) in parameters[name].map { $0 != .null } ?? false }
        switch method {
        case "health": return nil
        case "browser.pairing.status": return .goclaw
        case "connect" where ["channel", "senderId", "deviceToken", "proof"].contains(where: has):
            return .nodes
        case "connect" where ["minProtocol", "maxProtocol", "client"].contains(where: has): return .openclaw
        case "connect" where GoClawConnect.words.contains(where: has): return .goclaw
        default: return .nodes
        }
    }
}

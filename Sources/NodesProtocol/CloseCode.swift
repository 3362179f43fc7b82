/// The WebSocket close codes this server sends, and what each asks of the client.
///
/// Below 4000 they are those of RFC 6455 §7.4.1 and the IANA registry; the rest are the protocol's own.
public enum CloseCode: UInt16, Sendable, Hashable, CaseIterable {
    /// Both sides are done.
    case normal = 1000
    /// The server goes away, or gave a silent client up: reconnect.
    case goingAway = 1001
    /// The client broke RFC 6455: fix the client.
    case protocolError = 1002
    /// The client sent binary data where only text is understood.
    case notText = 1003
    /// The client sent text that is not UTF-8.
    case invalidText = 1007
    /// The client broke a rule of this server, such as a rate or a deadline: reconnect with backoff.
    case policyViolation = 1008
    /// The client sent a message that is too big.
    case tooBig = 1009
    /// The server restarts: reconnect, anywhere, with jitter.
    case restarting = 1012
    /// The server cannot serve this client now: reconnect later.
    case tryLater = 1013
    /// An administrator revoked the pairing: pair again.
    case pairingRevoked = 4001
    /// A newer connection of the same device took over: do not reconnect by yourself.
    case replaced = 4002
    /// An administrator denied the pairing request.
    case denied = 4003
}

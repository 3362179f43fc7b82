/// The names of protocol version 3 (DESIGN §7).
public enum NodesProtocol {
    /// The version a successful `connect` reports.
    public static let version = 3
    /// The WebSocket subprotocol whose clients are sent `connect.challenge` at once.
    public static let subprotocol = "goclaw.nodes.v1"
    /// The path of the WebSocket.
    public static let path = "/ws"
    /// The paths of OpenClaw's dialect, as its clients dial them.
    public static let openClawPaths: Set<String> = ["/", "/gateway", "/__openclaw__/gateway"]
}

/// The methods a client may call.
public enum MethodName: String, Sendable, Hashable, CaseIterable {
    /// Asks to be paired.
    case pairRequest = "device.pair.request"
    /// Asks where a pairing stands.
    case pairStatus = "device.pair.status"
    /// Asks for a nonce to sign.
    case challenge = "device.challenge"
    /// Authenticates this socket.
    case connect = "connect"
    /// Hands a message to an agent.
    case messageSend = "message.send"
    /// Confirms messages up to a number.
    case messageAck = "message.ack"
    /// Asks what became of a message.
    case messageStatus = "message.status"
    /// Gives a message up.
    case messageAbort = "message.abort"
    /// Asks what was said before.
    case messageHistory = "message.history"
    /// Sends a message to a device.
    case messagePush = "message.push"
    /// Lists requests and devices.
    case pairList = "device.pair.list"
    /// Approves a request.
    case pairApprove = "device.pair.approve"
    /// Denies a request.
    case pairDeny = "device.pair.deny"
    /// Revokes a paired device.
    case pairRevoke = "device.pair.revoke"
    /// Asks whether the server works.
    case health = "health"
}

/// The events a client may be sent.
public enum ClientEventName: String, Sendable, Hashable, CaseIterable {
    /// A nonce to sign: `{nonce, ts}`.
    case challenge = "connect.challenge"
    /// The request of this socket was decided: `{decision, requestId, …}`.
    case pairResolved = "device.pair.resolved"
    /// A message from an agent: `{messageSeq, agent, message}`.
    case message = "message"
    /// The server stops and will close the socket with 1012: `{reason, closesInMs}`.
    case shutdown = "shutdown"
}

import PairingCore

/// GoClaw's spelling of the wire, for one socket.
public struct GoClawDialect: Dialect {
    /// What is said of the server, and what it takes to understand a client.
    public struct Facts: Sendable {
        /// The channel of these devices.
        public var channel: ChannelID
        /// What an administrator's API token begins with.
        public var administratorsPrefix: String
        /// Whose secret that is; `nil` for one that can be nobody's.
        public var secretDevice: @Sendable (String) -> (token: DeviceToken, senderID: SenderID)?
        /// Makes a secret of 32 random bytes in base64url.
        public var makeSecret: @Sendable () -> String
        /// Names a message whose client does not.
        public var makeMessageID: @Sendable () -> String

        /// Wraps the parts.
        public init(
            channel: ChannelID, administratorsPrefix: String,
            secretDevice: @escaping @Sendable (String) -> (token: DeviceToken, senderID: SenderID)?,
            makeSecret: @escaping @Sendable () -> String, makeMessageID: @escaping @Sendable () -> String
        ) {
            self.channel = channel
            self.administratorsPrefix = administratorsPrefix
            self.secretDevice = secretDevice
            self.makeSecret = makeSecret
            self.makeMessageID = makeMessageID
        }
    }

    /// What of the client's is asked under which of this side's identifiers.
    enum Call: Sendable {
        /// - Parameter secret: what the device is to come back with.
        case connect(String, GoClawConnect, secret: String)
        case administrator(String, GoClawConnect)
        case status(String)
        case send(String, GoClawRuns.Question)
        case history(String)
        case abort(String, run: String)
        case agents(String)
        case list(String)
        case decide(String, JSONValue?)
        case revoke(String, device: String)
        /// Asks what became of a message whose answer is awaited.
        case look(run: String)
        case acknowledgement
    }

    /// How long an answer is waited for without any sign, before it is asked what became of it; in milliseconds.
    static let patience: Int64 = 15_000

    let facts: Facts
    var calls: [String: Call] = [:]
    var runs = GoClawRuns()
    /// Who is connected; `nil` before.
    var connected: GoClawConnect?
    var isAdministrator = false
    var waits = false
    /// The secret that was made for this socket's client; a repeat gets it again (I11).
    var made: String?
    /// The messages that each abort still asks about, and those that it stopped.
    var aborts: [String: (left: Int, stopped: [String])] = [:]
    private var acknowledgement = PongAcknowledgement()
    private var lastID: UInt64 = 0

    /// A socket that is new.
    public init(facts: Facts) { self.facts = facts }

    mutating func ask(_ call: Call, _ request: DeviceRequest) -> DialectStep {
        lastID += 1
        let id = String(lastID)
        calls[id] = call
        return .ask(id: id, request)
    }

    // MARK: In

    /// A frame of the client came, or what is none.
    public mutating func read(_ result: Result<RequestFrame, FrameRefusal>, now: Timestamp) -> [DialectStep] {
        switch result {
        case .failure(let failure):
            // Types that are not known are for others, and need not have an identifier.
            if ["unknown_type", "bad_id"].contains(failure.refusal.reason) { return [] }
            return [.send(GoClawFrames.failure(failure.id ?? "", failure.refusal))]
        case .success(let frame): return request(frame, now.milliseconds)
        }
    }

    // MARK: Out

    /// The server has something to say.
    public mutating func write(_ frame: ServerFrame, now: Timestamp) -> [DialectStep] {
        let now = now.milliseconds
        switch frame {
        case .response(let id, let payload):
            guard let call = calls.removeValue(forKey: id) else { return [] }
            return answered(call, payload, now)
        case .accepted(let id, let messageID, _):
            guard case .send(let request, let question)? = calls.removeValue(forKey: id) else { return [] }
            return runs.begin(messageID, request, question, user: connected?.userID ?? "", at: now)
        case .failure(let id, let refusal):
            guard let call = id.flatMap({ calls.removeValue(forKey: $0) }) else { return [] }
            return refused(call, refusal, now)
        case .event(.pairResolved, let payload, _):
            // Its clients ask, and then connect anew: some read one frame for each of theirs.
            if payload["decision"] != .string("approved") { waits = false }
            return []
        case .event: return []
        case .channelEvent(let name, let payload, _):
            // Before its `connect` the client would not know what to do with it, and so it comes later.
            guard connected != nil, let value = try? JSONValue(parsing: payload.utf8) else { return [] }
            return channelEvent(name, value, now)
        }
    }

    private mutating func answered(_ call: Call, _ payload: JSONValue, _ now: Int64) -> [DialectStep] {
        switch call {
        case .connect(let id, let connect, let secret):
            return [.send(GoClawFrames.response(id, entered(connect, payload, secret: secret)))]
        case .administrator(let id, let connect):
            connected = connect
            isAdministrator = true
            let role =
                switch payload["scope"]?.string {
                case "administer": "admin"
                case "read": "viewer"
                default: "operator"
                }
            return [.send(GoClawFrames.response(id, Self.hello(connect, role: role)))]
        case .status(let id): return [.send(GoClawFrames.response(id, Self.status(payload)))]
        case .send(let id, _):
            // Ephemeral: nobody answers it.
            return [.send(GoClawFrames.response(id, text: #"{"content":"","usage":\#(GoClawFrames.usage)}"#))]
        case .history(let id): return [.send(GoClawFrames.response(id, Self.history(payload)))]
        case .abort(let id, let run):
            let isStopped = payload["status"]?.string == "withdrawn"
            let steps = isStopped ? runs.cancel(run) : []
            return aborted(id, isStopped ? run : nil) + steps
        case .agents(let id): return [.send(GoClawFrames.response(id, agents(payload)))]
        case .list(let id): return [.send(GoClawFrames.response(id, Self.list(payload)))]
        case .decide(let id, _):
            return [.send(GoClawFrames.response(id, Self.decided(payload, at: now)))]
        case .revoke(let id, _): return [.send(GoClawFrames.response(id, ["revoked": .bool(true)]))]
        case .look(let run): return looked(run, payload, now)
        case .acknowledgement: return []
        }
    }

    private mutating func channelEvent(_ name: String, _ value: JSONValue, _ now: Int64) -> [DialectStep] {
        let run = value["inReplyTo"]?.string
        if let number = value["messageSeq"]?.wholeNumber {
            let ping = acknowledgement.sent(number).map { [DialectStep.ping($0)] } ?? []
            guard name != "typing" else { return runs.thinks(run, at: now) + ping }
            guard let message = value["message"] else { return ping }
            return runs.message(
                run ?? "message-\(number)", message.spokenText, agent: value["agent"]?.string ?? "",
                isLast: value["last"] != .bool(false), user: connected?.userID ?? "", at: now) + ping
        }
        switch name {
        case "typing": return runs.thinks(run, at: now)
        case "message.part":
            guard let run, let text = value["text"]?.string else { return [] }
            return runs.part(run, isFirst: value["part"]?.wholeNumber == 0, text, at: now)
        case "message.failed":
            guard let run else { return [] }
            let reason = value["reason"]?.string ?? "failed"
            // One that is tried again has not failed yet.
            return value["retrying"] == .bool(true)
                ? runs.retries(run, at: now) : runs.fail(run, reason)
        default: return []
        }
    }

    /// The client's library has answered a ping, so that it has read what came before.
    public mutating func ponged(_ number: Int64) -> [DialectStep] {
        guard connected != nil, let (number, next) = acknowledgement.ponged(number) else { return [] }
        return [ask(.acknowledgement, .acknowledge(messageSeq: number))] + (next.map { [.ping($0)] } ?? [])
    }

    /// A client waits for each answer as for any other request's: what is told of it may be lost, its end must not be.
    public mutating func ticked(now: Timestamp) -> [DialectStep] {
        runs.takeQuiet(at: now.milliseconds, patience: Self.patience).map {
            ask(.look(run: $0), .messageStatus(messageID: $0))
        }
    }

    private mutating func looked(_ run: String, _ payload: JSONValue, _ now: Int64) -> [DialectStep] {
        switch payload["status"]?.string {
        case "accepted", "working", "answered", nil: return []
        case "delivered":
            return runs.fail(
                run, "answered_before", "This message was answered before: its answer is in chat.history.",
                code: "ALREADY_EXISTS")
        case let status?: return runs.fail(run, payload["reason"]?.string ?? status)
        }
    }

    /// How a socket is closed; a page whose pairing is revoked is told so before.
    public func closing(_ code: CloseCode, _ reason: String) -> DialectEnd {
        guard code == .pairingRevoked, let connected, !isAdministrator else {
            return DialectEnd(code, reason)
        }
        // Its pages read the name from the payload within the payload.
        let user = connected.userID.json
        return DialectEnd(
            code, reason,
            lastWords: GoClawFrames.event(
                "tenant.access.revoked", #"{"user_id":\#(user),"payload":{"user_id":\#(user)}}"#))
    }
}

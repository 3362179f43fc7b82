import PairingCore

/// OpenClaw's spelling of the wire, versions 3 and 4, for one socket: its clients' frames in, this server's requests
/// out, and the other way round. Every rule is the server's; here nothing is decided but how things are said.
public struct OpenClawDialect: Dialect {
    /// What is said of the server, and what it takes to understand a client.
    public struct Facts: Sendable {
        /// The channel of these devices.
        public var channel: ChannelID
        /// The agents that may be asked for.
        public var agents: [String]
        /// The greatest message, in bytes.
        public var maximumMessage: Int
        /// The bytes that may wait for a client.
        public var maximumBuffered: Int
        /// Whose secret that is; `nil` for one that can be nobody's.
        public var secretDevice: @Sendable (String) -> (token: DeviceToken, senderID: SenderID)?
        /// Names a message whose client does not.
        public var makeMessageID: @Sendable () -> String

        /// Wraps the parts.
        public init(
            channel: ChannelID, agents: [String], maximumMessage: Int, maximumBuffered: Int,
            secretDevice: @escaping @Sendable (String) -> (token: DeviceToken, senderID: SenderID)?,
            makeMessageID: @escaping @Sendable () -> String
        ) {
            self.channel = channel
            self.agents = agents
            self.maximumMessage = maximumMessage
            self.maximumBuffered = maximumBuffered
            self.secretDevice = secretDevice
            self.makeMessageID = makeMessageID
        }
    }

    /// How often a connected client is told that the server is there, in milliseconds.
    static let tick: Int64 = 15_000

    /// What of the client's is asked under which of this side's identifiers.
    enum Call: Sendable {
        case connect(String, OpenClawConnect)
        case send(String, run: String, sessionKey: String, isAgent: Bool, isNode: Bool)
        case abort(String, run: String, isLast: Bool, runs: [String])
        case history(String, sessionKey: String)
        case agents(String)
        case invocationResult(String)
        case acknowledgement
    }

    let facts: Facts
    var calls: [String: Call] = [:]
    var runs = OpenClawRuns()
    /// Who is connected; `nil` before.
    var connected: OpenClawConnect?
    /// Who waits for a decision.
    private(set) var waits: OpenClawConnect?
    private var lastID: UInt64 = 0
    private var seq: Int64 = 0
    private var lastTick: Int64 = 0
    private var acknowledgement = PongAcknowledgement()

    /// A socket that is new.
    public init(facts: Facts) { self.facts = facts }

    // MARK: In

    /// A frame of the client came.
    public mutating func read(_ result: Result<RequestFrame, FrameRefusal>, now: Timestamp) -> [DialectStep] {
        switch result {
        case .failure(let failure):
            // Types that are not known are for others, and need not have an identifier.
            if ["unknown_type", "bad_id"].contains(failure.refusal.reason) { return [] }
            guard let id = failure.id else {
                return [.close(.policyViolation, "invalid request frame")]
            }
            return [.send(OpenClawFrames.failure(id, "INVALID_REQUEST", failure.refusal.message))]
        case .success(let frame):
            if frame.method == "connect" { return connect(frame) }
            guard let connected else {
                return [
                    .send(
                        OpenClawFrames.failure(
                            frame.id, waits == nil ? "INVALID_REQUEST" : "NOT_PAIRED",
                            waits == nil ? "the first request must be connect" : "pairing required"))
                ]
            }
            return request(frame, of: connected, now.milliseconds)
        }
    }

    private mutating func connect(_ frame: RequestFrame) -> [DialectStep] {
        guard connected == nil else {
            return [.send(OpenClawFrames.failure(frame.id, "INVALID_REQUEST", "already connected"))]
        }
        do throws(OpenClawConnect.Failure) {
            let connect = try OpenClawConnect(
                frame.parameters, channel: facts.channel, secretDevice: facts.secretDevice)
            return [ask(.connect(frame.id, connect), .enter(connect.claim, connect.identity))]
        } catch {
            let code =
                error.details["code"] == .string("DEVICE_IDENTITY_REQUIRED")
                ? "NOT_PAIRED" : "INVALID_REQUEST"
            return [
                .send(OpenClawFrames.failure(frame.id, code, error.message, details: error.details)),
                .close(error.close, OpenClawFrames.reason(error.message)),
            ]
        }
    }

    mutating func ask(_ call: Call, _ request: DeviceRequest) -> DialectStep {
        lastID += 1
        let id = String(lastID)
        calls[id] = call
        return .ask(id: id, request)
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
            if case .invocationResult(let request)? = calls[id] {
                calls[id] = nil
                return [.send(OpenClawFrames.response(request, .object(["ok": .bool(true)])))]
            }
            guard
                case .send(let request, let run, let key, let isAgent, let isNode)? = calls.removeValue(
                    forKey: id)
            else { return [] }
            let events = runs.begin(run, sessionKey: key, agentRequest: isAgent ? request : nil, at: now)
            return [.send(OpenClawFrames.response(request, text: accepted(messageID, isAgent, isNode, now)))]
                + tell(events)
        case .failure(let id, let refusal):
            guard let call = id.flatMap({ calls.removeValue(forKey: $0) }) else { return [] }
            return refused(call, refusal)
        case .event(.challenge, let payload, _):
            return [.send(OpenClawFrames.event("connect.challenge", payload.members, seq: nil))]
        case .event(.shutdown, let payload, _):
            var facts: [String: JSONValue] = ["reason": .string("service restart")]
            facts["restartExpectedMs"] = payload["closesInMs"]
            return [event("shutdown", facts)]
        case .event(.pairResolved, let payload, _): return resolved(payload, now)
        case .event: return []
        case .channelEvent(let name, let payload, _): return channelEvent(name, payload, now)
        }
    }

    private func accepted(_ run: String, _ isAgent: Bool, _ isNode: Bool, _ now: Int64) -> String {
        if isNode { return #"{"ok":true}"# }
        if isAgent { return #"{"runId":\#(run.json),"status":"accepted","acceptedAt":\#(now)}"# }
        return #"{"runId":\#(run.json),"status":"started"}"#
    }

    private mutating func answered(_ call: Call, _ payload: JSONValue, _ now: Int64) -> [DialectStep] {
        switch call {
        case .connect(let id, let connect):
            guard payload["status"]?.string == "paired" else {
                waits = connect
                return [.send(pending(id, connect, payload))]
            }
            connected = connect
            waits = nil
            lastTick = now
            return [.send(OpenClawFrames.response(id, text: hello(connect, payload, now)))]
        case .send(let id, let run, let key, let isAgent, let isNode):
            // Ephemeral: nobody answers it.
            let events = runs.begin(run, sessionKey: key, agentRequest: isAgent ? id : nil, at: now)
            return [.send(OpenClawFrames.response(id, text: accepted(run, isAgent, isNode, now)))]
                + tell(events + runs.message(run, "", at: now))
        case .abort(let id, let run, let isLast, let all):
            var steps = tell(payload["status"]?.string == "withdrawn" ? runs.abort(run, at: now) : [])
            if isLast {
                steps.insert(.send(OpenClawFrames.response(id, Self.aborted(all))), at: 0)
            }
            return steps
        case .history(let id, let key):
            return [.send(OpenClawFrames.response(id, text: Self.history(payload, sessionKey: key)))]
        case .agents(let id): return [.send(OpenClawFrames.response(id, Self.agents(payload)))]
        case .invocationResult(let id):
            return [.send(OpenClawFrames.response(id, .object(["ok": .bool(true)])))]
        case .acknowledgement: return []
        }
    }

    static func aborted(_ runs: [String]) -> JSONValue {
        .object([
            "ok": .bool(true), "aborted": .bool(!runs.isEmpty), "runIds": .array(runs.map(JSONValue.string)),
        ])
    }

    private static func history(_ payload: JSONValue, sessionKey: String) -> String {
        let messages = payload.rows("messages").map { row in
            OpenClawFrames.message(
                row["from"]?.string == "device" ? "user" : "assistant",
                text: (row["message"]?.spokenText ?? "").json, at: row["at"]?.wholeNumber ?? 0)
        }
        let key = sessionKey.json
        return #"{"sessionKey":\#(key),"sessionId":\#(key),"messages":[\#(messages.joined(separator: ","))],"#
            + #""thinkingLevel":"off"}"#
    }

    private mutating func channelEvent(_ name: String, _ payload: String, _ now: Int64) -> [DialectStep] {
        guard let value = try? JSONValue(parsing: payload.utf8) else { return [] }
        let run = value["inReplyTo"]?.string
        switch name {
        case "message.part":
            guard let run, let text = value["text"]?.string else { break }
            return tell(runs.part(run, number: value["part"]?.wholeNumber ?? 0, text, at: now))
        case "message.failed":
            // One that is tried again has not failed yet.
            guard let run, value["retrying"] == .bool(false) else { break }
            return tell(runs.fail(run, value["reason"]?.string ?? "failed", at: now))
        default: break
        }
        guard let number = value["messageSeq"]?.wholeNumber else { return [] }
        let ping = acknowledgement.sent(number).map { [DialectStep.ping($0)] } ?? []
        guard let message = value["message"] else { return ping }
        if let invocation = invocation(message, number: number) {
            return [event("node.invoke.request", invocation)] + ping
        }
        return tell(
            runs.message(
                run ?? "message-\(number)", message.spokenText, in: value["conversation"]?.string, at: now)
        ) + ping
    }

    /// The client's library has answered a ping, so that it has read what came before.
    public mutating func ponged(_ number: Int64) -> [DialectStep] {
        guard connected != nil, let (number, next) = acknowledgement.ponged(number) else { return [] }
        return [ask(.acknowledgement, .acknowledge(messageSeq: number))] + (next.map { [.ping($0)] } ?? [])
    }

    /// Some time has passed.
    public mutating func ticked(now: Timestamp) -> [DialectStep] {
        let now = now.milliseconds
        var steps = tell(runs.takeLate(at: now))
        if connected != nil, now - lastTick >= Self.tick {
            lastTick = now
            steps.append(event("tick", ["ts": .integer(now)]))
        }
        return steps
    }

    mutating func tell(_ events: [OpenClawRuns.Event]) -> [DialectStep] {
        events.map { told in
            switch told {
            case .event(let name, let payload): numbered { OpenClawFrames.event(name, payload, seq: $0) }
            case .answer(let request, let payload):
                .send(OpenClawFrames.response(request, .object(payload)))
            }
        }
    }

    mutating func event(_ name: String, _ payload: [String: JSONValue]) -> DialectStep {
        numbered { OpenClawFrames.event(name, payload, seq: $0) }
    }

    private mutating func numbered(_ event: (Int64) -> String) -> DialectStep {
        seq += 1
        return .send(event(seq))
    }

    mutating func stopWaiting() { waits = nil }
}

extension JSONValue {
    var members: [String: JSONValue] {
        if case .object(let members) = self { members } else { [:] }
    }

    /// The texts of a list of that name.
    func names(_ name: String) -> [String] {
        if case .array(let values)? = self[name] { values.compactMap(\.string) } else { [] }
    }

    /// The objects of a list of that name.
    func rows(_ name: String) -> [JSONValue] {
        if case .array(let values)? = self[name] { values } else { [] }
    }
}

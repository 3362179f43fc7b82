import PairingCore

/// What a connected client asks for: it may talk in its own conversation, whatever role and scopes it asked for.
extension OpenClawDialect {
    static let methods = [
        "agent", "agent.wait", "agents.list", "chat.abort", "chat.history", "chat.send", "health",
        "node.event", "node.invoke.result",
        "sessions.list", "sessions.patch",
    ]

    mutating func request(_ frame: RequestFrame, of connect: OpenClawConnect, _ now: Int64) -> [DialectStep] {
        let parameters = frame.parameters
        switch frame.method {
        case "chat.send", "agent":
            guard let text = frame.spokenMessage else {
                return [invalid(frame, "message: expected a text that is not empty")]
            }
            if case .array(let files)? = parameters["attachments"], !files.isEmpty {
                return [invalid(frame, "attachments are not taken here: send text")]
            }
            return send(
                frame.id, text, parameters, isAgent: frame.method == "agent",
                // Each socket numbers its requests anew: alone they name no message.
                messageID: parameters["idempotencyKey"]?.string ?? facts.makeMessageID())
        case "node.event": return nodeEvent(frame)
        case "node.invoke.result": return invocationResult(frame)
        case "node.invoke.progress": return [answer(frame, ["ok": .bool(true)])]
        case "agent.wait":
            guard let run = parameters["runId"]?.string else { return [invalid(frame, "runId: missing")] }
            let timeout = min(max(parameters["timeoutMs"]?.wholeNumber ?? 30_000, 0), 600_000)
            return tell(runs.wait(for: run, frame.id, until: now + timeout))
        case "chat.abort": return abort(frame)
        case "chat.history":
            let limit = min(
                max(parameters["limit"]?.wholeNumber ?? 200, 1), Int64(MessageHistory.maximumLimit))
            let key = parameters["sessionKey"]?.string ?? "main"
            guard let conversation = Self.conversation(key) else { return [invalid(frame, Self.badKey)] }
            return [
                ask(
                    .history(frame.id, sessionKey: key),
                    .history(limit: Int(limit), conversation: conversation))
            ]
        case "health": return [answer(frame, ["ok": .bool(true), "ts": .integer(now)])]
        case "sessions.patch":
            return [
                answer(
                    frame,
                    ["ok": .bool(true), "key": parameters["key"] ?? .string("main"), "entry": .object([:])])
            ]
        case "sessions.list":
            return [answer(frame, ["ts": .integer(now), "count": .integer(0), "sessions": .array([])])]
        case "agents.list": return [ask(.agents(frame.id), .agents)]
        default: return [refused(frame)]
        }
    }

    /// Whoever answers the device is `main` here.
    static func agents(_ payload: JSONValue) -> JSONValue {
        .object([
            "defaultId": .string("main"), "mainKey": .string("main"), "scope": .string("per-sender"),
            "agents": .array(
                (["main"] + payload.names("agents")).map {
                    .object(["id": .string($0), "name": .string($0)])
                }
            ),
        ])
    }

    /// - Parameter text: a JSON string.
    mutating func send(
        _ id: String, _ text: String, _ parameters: [String: JSONValue], isAgent: Bool, isNode: Bool = false,
        messageID: String
    ) -> [DialectStep] {
        let key = parameters["sessionKey"]?.string ?? "main"
        guard (1...DeviceRequest.maximumMessageIDLength).contains(messageID.utf8.count),
            !messageID.utf8.contains(0)
        else {
            return [
                .send(
                    OpenClawFrames.failure(id, "INVALID_REQUEST", "idempotencyKey: expected 1 to 128 bytes"))
            ]
        }
        guard let conversation = Self.conversation(key) else {
            return [.send(OpenClawFrames.failure(id, "INVALID_REQUEST", Self.badKey))]
        }
        var agent: String?
        if let named = parameters["agentId"]?.string, named != "main", named != "default" {
            guard facts.agents.contains(named) else {
                return [
                    .send(
                        OpenClawFrames.failure(
                            id, "INVALID_REQUEST", "unknown agent id \"\(named.prefix(64))\""))
                ]
            }
            agent = named
        } else if parameters["agentId"] == nil {
            // `agent:NAME:…`; a name that is not known here stands for whoever answers the channel.
            let words = key.split(separator: ":", omittingEmptySubsequences: false)
            if words.count > 2, words[0] == "agent", facts.agents.contains(String(words[1])) {
                agent = String(words[1])
            }
        }
        let message = #"{"text":\#(text),"type":"text"}"#
        return [
            ask(
                .send(id, run: messageID, sessionKey: key, isAgent: isAgent, isNode: isNode),
                .send(
                    messageID: messageID, message: message, agent: agent, conversation: conversation))
        ]
    }

    /// The keys of the conversation that is there without being named.
    private static let mainKeys = ["main", "agent:main:main"]
    private static let badKey =
        "sessionKey: expected 1 to \(ConversationName.maximumLength) bytes without control characters"

    /// The conversation of a session key: each key is one, letter for letter.
    static func conversation(_ sessionKey: String) -> ConversationName? {
        mainKeys.contains(sessionKey) ? .main : ConversationName(sessionKey)
    }

    private mutating func abort(_ frame: RequestFrame) -> [DialectStep] {
        let key = frame.parameters["sessionKey"]?.string
        let all = frame.parameters["runId"]?.string.map { [$0] } ?? runs.open(in: key)
        let open = all.filter { runs.run($0)?.end == nil && runs.run($0) != nil }
        guard !open.isEmpty else { return [.send(OpenClawFrames.response(frame.id, Self.aborted([])))] }
        return open.enumerated().map { index, run in
            ask(
                .abort(frame.id, run: run, isLast: index == open.count - 1, runs: open),
                .abort(messageID: run))
        }
    }

    func answer(_ frame: RequestFrame, _ payload: [String: JSONValue]) -> DialectStep {
        .send(OpenClawFrames.response(frame.id, .object(payload)))
    }

    func invalid(_ frame: RequestFrame, _ message: String) -> DialectStep {
        .send(OpenClawFrames.failure(frame.id, "INVALID_REQUEST", message))
    }

    /// Methods of OpenClaw's that a device may not call, by what they begin with.
    private static let othersMethods = [
        "agents.", "channels.", "chat.", "config.", "cron.", "device.", "exec.", "logs.", "models.", "node.",
        "secrets.", "send", "sessions.", "skills.", "system", "talk.", "tts.", "update.", "usage.", "wizard.",
    ]

    private func refused(_ frame: RequestFrame) -> DialectStep {
        guard Self.othersMethods.contains(where: frame.method.hasPrefix) else {
            return invalid(frame, "unknown method: \(frame.method.prefix(64))")
        }
        return .send(
            OpenClawFrames.failure(
                frame.id, "FORBIDDEN", "missing scope: operator.admin",
                details: [
                    "code": .string("MISSING_SCOPE"), "missingScope": .string("operator.admin"),
                    "requiredScopes": .array([.string("operator.admin")]),
                ]))
    }
}

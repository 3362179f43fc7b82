import PairingCore

/// What GoClaw's clients ask for.
extension GoClawDialect {
    mutating func request(_ frame: RequestFrame, _ now: Int64) -> [DialectStep] {
        switch frame.method {
        case "connect": return connect(frame)
        case "browser.pairing.status": return pairingStatus(frame)
        case "health", "status": return [answer(frame, ["status": .string("ok")])]
        default: break
        }
        guard connected != nil else {
            return [
                fail(
                    frame, "UNAUTHORIZED",
                    waits
                        ? "pairing is pending: until it is approved only connect and browser.pairing.status are answered"
                        : "first request must be 'connect'")
            ]
        }
        return isAdministrator ? administration(frame) : conversation(frame)
    }

    /// A paired device may talk in its own conversation; some further questions of GoClaw's pages have the answer that
    /// there is nothing.
    private mutating func conversation(_ frame: RequestFrame) -> [DialectStep] {
        let parameters = frame.parameters
        let sessionKey = parameters["sessionKey"]?.string ?? parameters["session_key"]?.string
        switch frame.method {
        case "chat.send": return send(frame, sessionKey: sessionKey)
        case "chat.history":
            let limit = min(max(parameters["limit"]?.wholeNumber ?? 200, 1), 1000)
            return [ask(.history(frame.id), .history(limit: Int(limit)))]
        case "chat.abort": return abort(frame, sessionKey: sessionKey)
        case "chat.session.status":
            let run = runs.open(in: sessionKey).first
            return [
                answer(
                    frame,
                    [
                        "isRunning": .bool(run != nil), "runId": .string(run ?? ""),
                        "activity": run == nil ? .null : .object(["phase": .string("thinking")]),
                    ])
            ]
        case "agents.list": return [ask(.agents(frame.id), .agents)]
        case "tenants.mine": return [answer(frame, ["tenants": .array([])])]
        case "sessions.list": return [answer(frame, ["sessions": .array([]), "total": .integer(0)])]
        case "teams.tasks.active-by-session": return [answer(frame, ["tasks": .array([])])]
        default: return [refused(frame)]
        }
    }

    private mutating func send(_ frame: RequestFrame, sessionKey: String?) -> [DialectStep] {
        let parameters = frame.parameters
        guard let text = frame.spokenMessage else {
            return [fail(frame, "INVALID_REQUEST", "message is required")]
        }
        guard parameters.rows("media").isEmpty else {
            return [fail(frame, "INVALID_REQUEST", "media is not taken here: send text")]
        }
        let messageID =
            parameters["messageId"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? facts.makeMessageID()
        guard messageID.utf8.count <= DeviceRequest.maximumMessageIDLength, !messageID.utf8.contains(0) else {
            return [fail(frame, "INVALID_REQUEST", "messageId: expected at most 128 bytes")]
        }
        let key = sessionKey ?? ""
        let named = parameters["agentId"]?.string ?? parameters["agent_key"]?.string ?? Self.agent(in: key)
        let question = GoClawRuns.Question(
            text: text, sessionKey: key, agent: named ?? "default",
            streams: parameters["stream"] == .bool(true), isBare: parameters["agent_key"] != nil)
        let message = #"{"text":\#(text),"type":"text"}"#
        return [
            ask(
                .send(frame.id, question),
                // Whoever answers the device is `default` here.
                .send(
                    messageID: messageID, message: message,
                    agent: named.flatMap { $0.isEmpty || $0 == "default" ? nil : $0 }))
        ]
    }

    /// `agent:NAME:…`
    private static func agent(in sessionKey: String) -> String? {
        let words = sessionKey.split(separator: ":", omittingEmptySubsequences: false)
        return words.count > 2 && words[0] == "agent" ? String(words[1]) : nil
    }

    private mutating func abort(_ frame: RequestFrame, sessionKey: String?) -> [DialectStep] {
        let named = frame.parameters["runId"]?.string ?? frame.parameters["run_id"]?.string
        guard named != nil || sessionKey != nil else {
            return [fail(frame, "INVALID_REQUEST", "sessionKey or runId is required")]
        }
        let open = named.map { runs.isOpen($0) ? [$0] : [] } ?? runs.open(in: sessionKey)
        guard !open.isEmpty else { return [answer(frame, Self.aborted([]))] }
        aborts[frame.id] = (open.count, [])
        return open.map { ask(.abort(frame.id, run: $0), .abort(messageID: $0)) }
    }

    /// One of an abort's messages was stopped, or could not be; the last one answers it.
    mutating func aborted(_ id: String, _ run: String?) -> [DialectStep] {
        guard var abort = aborts[id] else { return [] }
        abort.left -= 1
        if let run { abort.stopped.append(run) }
        aborts[id] = abort.left > 0 ? abort : nil
        return abort.left > 0 ? [] : [.send(GoClawFrames.response(id, Self.aborted(abort.stopped)))]
    }

    private static func aborted(_ runs: [String]) -> [String: JSONValue] {
        [
            "ok": .bool(true), "aborted": .bool(!runs.isEmpty), "stopped": .bool(!runs.isEmpty),
            "forced": .bool(false), "alreadyAborting": .bool(false), "notFound": .bool(runs.isEmpty),
            "unauthorized": .bool(false), "runIds": .array(runs.map(JSONValue.string)),
        ]
    }

    static func history(_ payload: JSONValue) -> [String: JSONValue] {
        [
            "messages": .array(
                payload.rows("messages").map {
                    .object([
                        "role": .string($0["from"]?.string == "device" ? "user" : "assistant"),
                        "content": .string($0["message"]?.spokenText ?? ""),
                        "timestamp": $0["at"] ?? .integer(0),
                    ])
                })
        ]
    }

    func agents(_ payload: JSONValue) -> [String: JSONValue] {
        let names = payload.names("agents")
        return [
            "agents": .array(
                (names.contains("default") ? names : ["default"] + names).map {
                    .object([
                        "id": .string($0), "name": .string($0), "model": .string(""), "provider": .string(""),
                        "agentType": .string("predefined"), "status": .string("active"),
                        "isRunning": .bool(false),
                    ])
                })
        ]
    }

    // MARK: Answers

    func answer(_ frame: RequestFrame, _ payload: [String: JSONValue]) -> DialectStep {
        .send(GoClawFrames.response(frame.id, payload))
    }

    func fail(_ frame: RequestFrame, _ code: String, _ message: String) -> DialectStep {
        .send(GoClawFrames.failure(frame.id, code, message))
    }

    /// Methods of GoClaw's that this client may not call, by what they begin with.
    private static let othersMethods = [
        "agent.", "agents.", "api_keys.", "channels.", "chat.", "config.", "cron.", "delegations.", "device.",
        "exec.",
        "heartbeat.", "hooks.", "logs.", "models.", "providers.", "quota.", "send", "sessions.", "skills.",
        "teams.",
        "tenants.", "tools.", "tts.", "usage.",
    ]

    func refused(_ frame: RequestFrame) -> DialectStep {
        let name = frame.method.prefix(64)
        return Self.othersMethods.contains(where: frame.method.hasPrefix)
            ? fail(frame, "UNAUTHORIZED", "permission denied: \(name)")
            : fail(frame, "INVALID_REQUEST", "unknown method: \(name)")
    }
}

extension [String: JSONValue] {
    fileprivate func rows(_ name: String) -> [JSONValue] { JSONValue.object(self).rows(name) }
}

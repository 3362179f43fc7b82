import PairingCore

/// The runs of one socket: what OpenClaw's clients call a message and the making of its answer. A run's identifier is
/// its message's.
struct OpenClawRuns: Sendable {
    /// How a run ended.
    enum End: Sendable, Equatable {
        case ok
        case error(String)
        case aborted
    }

    struct Run: Sendable {
        /// Echoed as it was sent, never another spelling of it.
        let sessionKey: String
        /// The request that is answered a second time at the end; `nil` where there is none.
        let agentRequest: String?
        let startedAt: Int64
        var seq: Int64 = 0
        /// What is known of the answer, and how many bytes of it were told.
        var text = ""
        var sent = 0
        var endedAt: Int64?
        var end: End?

        mutating func forget() { (text, sent) = ("", 0) }
    }

    /// Somebody who waits for a run's end.
    struct Waiter: Sendable {
        let request: String
        let run: String
        let deadline: Int64
    }

    /// Clients of version 3 read the whole text in each event. It is told as often as all of that stays within this many
    /// times its length: a long answer in ever greater pieces.
    private static let repetitions = 32
    /// Runs that are remembered after their end.
    private static let remembered = 64

    private var runs: [String: Run] = [:]
    private var ended: [String] = []
    private var waiters: [Waiter] = []
    /// How the client spells the main conversation.
    private var mainKey = "main"

    func run(_ id: String) -> Run? { runs[id] }

    /// The runs of a session that are not over.
    func open(in sessionKey: String?) -> [String] {
        runs.filter { $0.value.end == nil && (sessionKey == nil || $0.value.sessionKey == sessionKey) }
            .map(\.key).sorted()
    }

    /// A message was accepted.
    mutating func begin(_ id: String, sessionKey: String, agentRequest: String?, at now: Int64) -> [Event] {
        if OpenClawDialect.conversation(sessionKey) == .main { mainKey = sessionKey }
        // The same message again goes on with its run.
        if runs[id]?.end == nil, runs[id] != nil { return [] }
        runs[id] = Run(sessionKey: sessionKey, agentRequest: agentRequest, startedAt: now)
        return [agent(id, "lifecycle", ["phase": .string("start"), "startedAt": .integer(now)], now)]
    }

    /// A piece of an answer came.
    mutating func part(_ id: String, number: Int64, _ text: String, at now: Int64) -> [Event] {
        guard runs[id] != nil, runs[id]?.end == nil else { return [] }
        // An agent that begins anew replaces what it had said.
        let isReplacing = number == 0 && (runs[id]?.sent ?? 0) > 0
        if number == 0 { runs[id]?.forget() }
        runs[id]?.text += text
        let whole = runs[id]?.text ?? ""
        let sent = runs[id]?.sent ?? 0
        let length = whole.utf8.count
        guard (length - sent) * Self.repetitions >= length else { return [] }
        runs[id]?.sent = length
        let delta = String(decoding: whole.utf8.dropFirst(sent), as: UTF8.self)
        var chat: [String: JSONValue] = [
            "state": .string("delta"), "deltaText": .string(delta),
            "message": OpenClawFrames.message("assistant", whole, at: now),
        ]
        if isReplacing { chat["replace"] = .bool(true) }
        return [
            self.chat(id, chat),
            agent(id, "assistant", ["text": .string(whole), "delta": .string(delta)], now),
        ]
    }

    /// A whole message came; one that answers nothing that is known here is a run of its own.
    ///
    /// - Parameter conversation: the one that it belongs to; `nil` for the main one.
    mutating func message(
        _ id: String, _ text: String, in conversation: String? = nil, at now: Int64
    ) -> [Event] {
        if runs[id] == nil || runs[id]?.end != nil {
            runs[id] = Run(sessionKey: conversation ?? mainKey, agentRequest: nil, startedAt: now)
        }
        let shown = String(
            decoding: (runs[id]?.text ?? "").utf8.prefix(runs[id]?.sent ?? 0), as: UTF8.self)
        var events: [Event] = []
        if shown != text {
            let delta = text.hasPrefix(shown) ? String(text.dropFirst(shown.count)) : text
            events.append(agent(id, "assistant", ["text": .string(text), "delta": .string(delta)], now))
        }
        events.append(
            chat(
                id,
                ["state": .string("final"), "message": OpenClawFrames.message("assistant", text, at: now)]))
        return events + end(id, .ok, at: now)
    }

    /// No answer will come.
    mutating func fail(_ id: String, _ reason: String, at now: Int64) -> [Event] {
        guard runs[id] != nil, runs[id]?.end == nil else { return [] }
        let event = chat(
            id,
            [
                "state": .string("error"), "errorMessage": .string("The agent did not answer: \(reason)."),
                "errorKind": .string(reason),
            ])
        return [event] + end(id, .error(reason), at: now)
    }

    /// The client gave the message up.
    mutating func abort(_ id: String, at now: Int64) -> [Event] {
        guard runs[id] != nil, runs[id]?.end == nil else { return [] }
        return [chat(id, ["state": .string("aborted")])] + end(id, .aborted, at: now)
    }

    private mutating func end(_ id: String, _ end: End, at now: Int64) -> [Event] {
        runs[id]?.end = end
        runs[id]?.endedAt = now
        runs[id]?.forget()
        ended.append(id)
        while ended.count > Self.remembered { runs[ended.removeFirst()] = nil }
        var lifecycle: [String: JSONValue] = ["phase": .string("end"), "endedAt": .integer(now)]
        if case .error(let reason) = end {
            lifecycle["phase"] = .string("error")
            lifecycle["error"] = .string(reason)
        }
        var events = [agent(id, "lifecycle", lifecycle, now)]
        if let request = runs[id]?.agentRequest { events.append(.answer(request, summary(id))) }
        for waiter in waiters where waiter.run == id { events.append(.answer(waiter.request, status(id))) }
        waiters.removeAll { $0.run == id }
        return events
    }

    // MARK: Waiting

    /// `agent.wait`
    mutating func wait(for id: String, _ request: String, until deadline: Int64) -> [Event] {
        guard let run = runs[id] else {
            return [.answer(request, ["runId": .string(id), "status": .string("timeout")])]
        }
        guard run.end == nil, waiters.count < 64 else { return [.answer(request, status(id))] }
        waiters.append(Waiter(request: request, run: id, deadline: deadline))
        return []
    }

    /// Who has waited for too long.
    mutating func takeLate(at now: Int64) -> [Event] {
        let late = waiters.filter { $0.deadline <= now }
        if late.isEmpty { return [] }
        waiters.removeAll { $0.deadline <= now }
        return late.map {
            .answer($0.request, ["runId": .string($0.run), "status": .string("timeout")])
        }
    }

    private func status(_ id: String) -> [String: JSONValue] {
        guard let run = runs[id] else { return ["runId": .string(id), "status": .string("timeout")] }
        var payload: [String: JSONValue] = [
            "runId": .string(id), "startedAt": .integer(run.startedAt),
            "status": .string(Self.word(run.end)),
        ]
        if let endedAt = run.endedAt { payload["endedAt"] = .integer(endedAt) }
        if case .error(let reason)? = run.end { payload["error"] = .string(reason) }
        return payload
    }

    private func summary(_ id: String) -> [String: JSONValue] {
        var payload: [String: JSONValue] = ["runId": .string(id)]
        let end = runs[id]?.end
        payload["status"] = .string(Self.word(end))
        switch end {
        case .ok, nil: payload["summary"] = .string("completed")
        case .aborted: payload["summary"] = .string("aborted")
        case .error(let reason): payload["summary"] = .string("failed: \(reason)")
        }
        return payload
    }

    private static func word(_ end: End?) -> String {
        switch end {
        case nil: "pending"
        case .ok: "ok"
        case .error, .aborted: "error"
        }
    }

    // MARK: Events

    /// What is told of a run.
    enum Event: Sendable, Equatable {
        case event(String, [String: JSONValue])
        /// The second answer to a request.
        case answer(String, [String: JSONValue])
    }

    private mutating func chat(_ id: String, _ facts: [String: JSONValue]) -> Event {
        .event("chat", numbered(id, facts))
    }

    private mutating func agent(
        _ id: String, _ stream: String, _ data: [String: JSONValue], _ now: Int64
    ) -> Event {
        .event(
            "agent",
            numbered(id, ["stream": .string(stream), "ts": .integer(now), "data": .object(data)]))
    }

    private mutating func numbered(_ id: String, _ facts: [String: JSONValue]) -> [String: JSONValue] {
        runs[id]?.seq += 1
        return facts.merging([
            "runId": .string(id), "sessionKey": .string(runs[id]?.sessionKey ?? mainKey),
            "seq": .integer(runs[id]?.seq ?? 1),
        ]) { $1 }
    }
}

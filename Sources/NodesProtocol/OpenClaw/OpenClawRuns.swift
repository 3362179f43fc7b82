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
        /// What every event of it says, as members of a JSON object.
        let names: String
        var seq: Int64 = 0
        /// What is known of the answer, and how many bytes of it were told.
        var text = ""
        var sent = 0
        var endedAt: Int64?
        var end: End?

        init(_ id: String, sessionKey: String, agentRequest: String? = nil, startedAt: Int64) {
            self.sessionKey = sessionKey
            self.agentRequest = agentRequest
            self.startedAt = startedAt
            names = #""runId":\#(id.json),"sessionKey":\#(sessionKey.json)"#
        }

        /// The names, and the next number.
        mutating func numbered() -> String {
            seq += 1
            return #"\#(names),"seq":\#(seq)"#
        }

        /// What is known now counts as told.
        mutating func told(isReplacing: Bool) -> News {
            let delta = sent == 0 ? nil : String(decoding: text.utf8.dropFirst(sent), as: UTF8.self).json
            sent = text.utf8.count
            let whole = text.json
            return News(whole: whole, delta: delta ?? whole, isReplacing: isReplacing)
        }

        mutating func close(_ end: End, at now: Int64) {
            self.end = end
            endedAt = now
            forget()
        }

        mutating func forget() { (text, sent) = ("", 0) }
    }

    /// What became known of an answer: all of it and what is new, as JSON strings.
    struct News {
        let whole: String
        let delta: String
        /// Whether what was told before is not its beginning.
        let isReplacing: Bool
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
        runs[id] = Run(id, sessionKey: sessionKey, agentRequest: agentRequest, startedAt: now)
        return [agent(id, "lifecycle", #"{"phase":"start","startedAt":\#(now)}"#, now)]
    }

    /// A piece of an answer came.
    mutating func part(_ id: String, number: Int64, _ text: String, at now: Int64) -> [Event] {
        guard var run = runs[id], run.end == nil else { return [] }
        // An agent that begins anew replaces what it had said.
        let isReplacing = number == 0 && run.sent > 0
        if number == 0 { run.forget() }
        run.text += text
        let length = run.text.utf8.count
        let isDue = (length - run.sent) * Self.repetitions >= length
        let news = isDue ? run.told(isReplacing: isReplacing) : nil
        runs[id] = run
        return news.map { [chatDelta(id, $0, now), assistant(id, $0, now)] } ?? []
    }

    /// A whole message came; one that answers nothing that is known here is a run of its own.
    ///
    /// - Parameter conversation: the one that it belongs to; `nil` for the main one.
    mutating func message(
        _ id: String, _ text: String, in conversation: String? = nil, at now: Int64
    ) -> [Event] {
        var run =
            runs[id].flatMap { $0.end == nil ? $0 : nil }
            ?? Run(id, sessionKey: conversation ?? mainKey, startedAt: now)
        let shown = run.text.utf8.prefix(run.sent)
        let isMore = text.utf8.starts(with: shown)
        let isNews = !isMore || text.utf8.count > shown.count
        run.text = text
        if !isMore { run.sent = 0 }
        let news = run.told(isReplacing: !isMore)
        runs[id] = run
        // Some clients put the text together of what is new each time, and read nothing else.
        return (isNews ? [assistant(id, news, now), chatDelta(id, news, now)] : [])
            + [
                chat(
                    id, "final",
                    #""message":\#(OpenClawFrames.message("assistant", text: news.whole, at: now)),"#)
            ]
            + end(id, .ok, at: now)
    }

    /// No answer will come.
    mutating func fail(_ id: String, _ reason: String, at now: Int64) -> [Event] {
        guard runs[id] != nil, runs[id]?.end == nil else { return [] }
        let words = "The agent did not answer: \(reason)."
        let event = chat(id, "error", #""errorMessage":\#(words.json),"errorKind":\#(reason.json),"#)
        return [event] + end(id, .error(reason), at: now)
    }

    /// The client gave the message up.
    mutating func abort(_ id: String, at now: Int64) -> [Event] {
        guard runs[id] != nil, runs[id]?.end == nil else { return [] }
        return [chat(id, "aborted")] + end(id, .aborted, at: now)
    }

    private mutating func end(_ id: String, _ end: End, at now: Int64) -> [Event] {
        runs[id]?.close(end, at: now)
        ended.append(id)
        while ended.count > Self.remembered { runs[ended.removeFirst()] = nil }
        let phase =
            if case .error(let reason) = end { #""error","error":\#(reason.json)"# } else { #""end""# }
        var events = [agent(id, "lifecycle", #"{"phase":\#(phase),"endedAt":\#(now)}"#, now)]
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
        /// - Parameter payload: JSON text.
        case event(String, payload: String)
        /// The second answer to a request.
        case answer(String, [String: JSONValue])
    }

    private mutating func chatDelta(_ id: String, _ news: News, _ now: Int64) -> Event {
        let message = OpenClawFrames.message("assistant", text: news.whole, at: now)
        let replaces = news.isReplacing ? #""replace":true,"# : ""
        return chat(id, "delta", #""deltaText":\#(news.delta),"message":\#(message),\#(replaces)"#)
    }

    /// - Parameter facts: members of a JSON object, each with a comma behind it.
    private mutating func chat(_ id: String, _ state: String, _ facts: String = "") -> Event {
        .event("chat", payload: #"{"state":"\#(state)",\#(facts)\#(numbered(id))}"#)
    }

    private mutating func assistant(_ id: String, _ news: News, _ now: Int64) -> Event {
        agent(id, "assistant", #"{"text":\#(news.whole),"delta":\#(news.delta)}"#, now)
    }

    /// - Parameter data: JSON text.
    private mutating func agent(_ id: String, _ stream: String, _ data: String, _ now: Int64) -> Event {
        .event("agent", payload: #"{"stream":"\#(stream)","ts":\#(now),"data":\#(data),\#(numbered(id))}"#)
    }

    private mutating func numbered(_ id: String) -> String { runs[id]?.numbered() ?? #""runId":\#(id.json)"# }
}

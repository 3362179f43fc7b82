import PairingCore

/// The runs of one socket: what GoClaw's clients call a message and the making of its answer. A run's identifier is its
/// message's; the request that began it is answered when it ends.
struct GoClawRuns: Sendable {
    /// What a run began with.
    struct Question: Sendable, Equatable {
        /// A JSON string.
        var text: String
        /// Echoed as it was sent.
        var sessionKey: String
        /// Whom the client named, in its own word.
        var agent: String
        /// Whether the client wants pieces of the answer.
        var streams: Bool
        /// Whether it is GoClaw's command line, which reads no other copy of an event than a bare one.
        var isBare: Bool
    }

    struct Run: Sendable {
        /// What is answered at the end; several where the client repeated the message.
        var requests: [String]
        let question: Question
        /// Its identifier, and what every event of it begins with, as JSON.
        let id: String
        let head: String
        /// What earlier messages of the same answer said.
        var said = ""
        var failures: Int64 = 0
        /// When something was last heard of it.
        var heardAt: Int64

        init(_ id: String, requests: [String], _ question: Question, user: String, at now: Int64) {
            self.requests = requests
            self.question = question
            self.id = id.json
            let user = user.json
            head =
                #"{"agentId":\#(question.agent.json),"runId":\#(self.id),"userId":\#(user),"chatId":\#(user),"#
                + #""channel":"ws","sessionKey":\#(question.sessionKey.json),"type":"#
            heardAt = now
        }
    }

    private var runs: [String: Run] = [:]
    /// Where messages go that answer nothing.
    private var lastSessionKey = ""

    /// Those of a session, or all.
    func open(in sessionKey: String?) -> [String] {
        runs.filter { sessionKey == nil || $0.value.question.sessionKey == sessionKey }.map(\.key).sorted()
    }

    func isOpen(_ id: String) -> Bool { runs[id] != nil }

    mutating func begin(
        _ id: String, _ request: String, _ question: Question, user: String, at now: Int64
    ) -> [DialectStep] {
        lastSessionKey = question.sessionKey
        guard runs[id] == nil else {
            // The same message again goes on with its run.
            runs[id]?.requests.append(request)
            return []
        }
        let run = Run(id, requests: [request], question, user: user, at: now)
        runs[id] = run
        return [event("run.started", run, #"{"message":\#(question.text)}"#)]
    }

    /// A piece of an answer came.
    mutating func part(_ id: String, isFirst: Bool, _ text: String, at now: Int64) -> [DialectStep] {
        guard let run = heard(id, at: now), run.question.streams else { return [] }
        let payload = #"{"content":\#(text.json)}"#
        return [event("chunk", run, payload)] + bare("chunk", run, payload)
    }

    /// An agent says that it works.
    mutating func thinks(_ id: String?, at now: Int64) -> [DialectStep] {
        guard let id = id ?? runs.keys.min(), let run = heard(id, at: now) else { return [] }
        return [event("activity", run, #"{"phase":"thinking"}"#)]
    }

    /// An attempt failed; how many there will be is not known but that there is one more.
    mutating func retries(_ id: String, at now: Int64) -> [DialectStep] {
        runs[id]?.failures += 1
        guard let run = heard(id, at: now) else { return [] }
        return [
            event("run.retrying", run, #"{"attempt":\#(run.failures),"maxAttempts":\#(run.failures + 1)}"#)
        ]
    }

    /// A whole message came; one that answers nothing that is known here is a run of its own.
    ///
    /// - Parameter isLast: whether no further message belongs to the same answer.
    mutating func message(
        _ id: String, _ text: String, agent: String, isLast: Bool, user: String, at now: Int64
    ) -> [DialectStep] {
        var steps: [DialectStep] = []
        if runs[id] == nil {
            let run = Run(
                id, requests: [],
                Question(
                    text: #""""#, sessionKey: lastSessionKey, agent: agent, streams: false, isBare: false),
                user: user, at: now)
            runs[id] = run
            steps.append(event("run.started", run, #"{"message":""}"#))
        }
        runs[id]?.said += text
        guard let run = heard(id, at: now) else { return [] }
        guard isLast else { return steps + [event("block.reply", run, #"{"content":\#(text.json)}"#)] }
        runs[id] = nil
        let result = #""content":\#(run.said.json),"usage":\#(GoClawFrames.usage)}"#
        steps.append(event("run.completed", run, "{" + result))
        steps += bare("run.completed", run, "{" + result)
        return steps + answers(run, #"{"runId":\#(run.id),"# + result)
    }

    /// No answer will come.
    mutating func fail(
        _ id: String, _ reason: String, _ message: String? = nil, code: String? = nil
    ) -> [DialectStep] {
        guard let run = runs.removeValue(forKey: id) else { return [] }
        let message = message ?? "The agent did not answer: \(reason)."
        let code = code ?? (reason.contains("time") || reason == "expired" ? "AGENT_TIMEOUT" : "INTERNAL")
        return [event("run.failed", run, #"{"error":\#(message.json)}"#)]
            + run.requests.map {
                .send(
                    GoClawFrames.failure(
                        $0, code, message, details: ["reason": .string(reason), "runId": .string(id)]))
            }
    }

    /// The client gave the message up.
    mutating func cancel(_ id: String) -> [DialectStep] {
        guard let run = runs.removeValue(forKey: id) else { return [] }
        return [event("run.cancelled", run, "{}")]
            + answers(run, #"{"runId":\#(run.id),"cancelled":true}"#)
    }

    /// Of which nothing was heard for so long; not told again before as much time has passed once more.
    mutating func takeQuiet(at now: Int64, patience: Int64) -> [String] {
        if runs.isEmpty { return [] }
        let quiet = runs.filter { now - $0.value.heardAt >= patience }.map(\.key).sorted()
        for id in quiet { runs[id]?.heardAt = now }
        return quiet
    }

    private mutating func heard(_ id: String, at now: Int64) -> Run? {
        runs[id]?.heardAt = now
        return runs[id]
    }

    // MARK: Frames

    private func answers(_ run: Run, _ payload: String) -> [DialectStep] {
        run.requests.map { .send(GoClawFrames.response($0, text: payload)) }
    }

    private func event(_ type: String, _ run: Run, _ payload: String) -> DialectStep {
        .send(GoClawFrames.event("agent", #"\#(run.head)"\#(type)","payload":\#(payload)}"#))
    }

    private func bare(_ name: String, _ run: Run, _ payload: String) -> [DialectStep] {
        run.question.isBare ? [.send(GoClawFrames.event(name, payload))] : []
    }
}

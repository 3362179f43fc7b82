import NIOCore
import NIOHTTP1
import PairingCore

/// An agent behind a server with the chat completions interface.
package struct OpenAIAgent: Agent {
    /// How it is reached and asked.
    package struct Settings: Sendable {
        /// Where the interface begins, such as `https://agents.example.org/v1`.
        package var url: String
        /// What the server calls the agent.
        package var model: String
        /// Goes along as a bearer token; never logged.
        package var key: String?
        /// What the model is told before each conversation; empty for nothing.
        package var systemPrompt = ""
        /// What of a conversation goes along.
        package var context = ContextLimits()
        /// How long an answer may take.
        package var times = AgentTimes(whole: .seconds(120), silence: .seconds(60))

        /// An agent without a key.
        package init(url: String, model: String) {
            self.url = url
            self.model = model
        }
    }

    package let name: String
    package var context: ContextLimits { settings.context }
    package var usesTools: Bool { true }
    private let settings: Settings
    private let http: AgentHTTP

    /// Asks nothing yet.
    package init(name: String, settings: Settings, http: AgentHTTP) {
        self.name = name
        self.settings = settings
        self.http = http
    }

    /// One answer of the server.
    private struct Reading: Sendable {
        var text: String
        var calls: [ChatToolCalls.Call]
    }

    /// Asks for a stream, and takes a whole document too. What the model wants done is done, and it is asked again
    /// with what came of it; the answer is all that it said meanwhile.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        let chat = ChatRequest(
            model: settings.model, systemPrompt: settings.systemPrompt, contextLimits: settings.context)
        let tools = request.tools.flatMap { $0.offered.isEmpty ? nil : ChatTools($0) }
        var rounds: [ChatRequest.Round] = []
        var text = ""
        while true {
            let mayCall = rounds.count < AgentTools.maximumRounds
            let reading = try await ask(
                chat.body(of: request, tools: tools, after: rounds, mayCall: mayCall),
                key: rounds.isEmpty ? request.key : "\(request.key)/\(rounds.count)",
                separator: text.isEmpty ? "" : Self.separator, part: part)
            if !text.isEmpty, !reading.text.isEmpty { text += Self.separator }
            text += reading.text
            guard text.utf8.count <= ChatCompletion.maximumAnswerBytes else {
                throw AgentFailure(
                    .refused, "The answer's text has more than \(ChatCompletion.maximumAnswerBytes) bytes.")
            }
            guard let tools, !reading.calls.isEmpty else { break }
            guard mayCall else {
                throw AgentFailure(
                    .refused, "It calls tools and gives no answer after \(AgentTools.maximumRounds) rounds.")
            }
            var round = ChatRequest.Round(text: reading.text, calls: [])
            for (number, call) in reading.calls.enumerated() {
                let place = "\(request.key)/\(rounds.count)/\(number)"
                round.calls.append((call, await tools.run(call, place: place)))
                if Task.isCancelled { throw AgentFailure(.cancelled, "The answer was not waited for.") }
            }
            rounds.append(round)
        }
        return .reply(JSONValue.object(["type": .string("text"), "text": .string(text)]).text)
    }

    /// Between what the model says before and after it has something done.
    private static let separator = "\n\n"

    /// - Parameter separator: comes before the first part.
    private func ask(
        _ body: String, key: String, separator: String, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> Reading {
        var headers = HTTPHeaders([
            ("Accept", "text/event-stream, application/json"), ("Idempotency-Key", key),
        ])
        if let key = settings.key { headers.add(name: "Authorization", value: "Bearer \(key)") }
        do throws(AgentFailure) {
            return try await http.post(
                body, to: settings.url + "/chat/completions", headers: headers, times: settings.times,
                complaint: ChatCompletion.complaint
            ) { _, body, settle in
                try await Self.read(body, settle, separator: separator, part: part)
            }
        } catch {
            throw withoutKey(error)
        }
    }

    /// Servers repeat a key that they refuse.
    private func withoutKey(_ failure: AgentFailure) -> AgentFailure {
        guard let key = settings.key, !key.isEmpty else { return failure }
        var failure = failure
        failure.message = failure.message.replacing(key, with: "…")
        return failure
    }

    private static func read(
        _ body: AgentBody, _ settle: (Reading) -> Void, separator: String,
        part: @Sendable (String) async -> Void
    ) async throws -> Reading {
        var answer = ChatAnswer()
        var isSettled = false
        var separator = separator
        for try await buffer in body {
            let new = try answer.append(buffer.readableBytesView)
            if !new.isEmpty {
                await part(separator + new)
                separator = ""
            }
            // Nothing after the mark counts, and some servers keep the connection open.
            if answer.isComplete, !isSettled {
                isSettled = true
                settle(Reading(text: try answer.end(), calls: try answer.toolCalls()))
            }
        }
        return Reading(text: try answer.end(), calls: try answer.toolCalls())
    }
}

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
    private let settings: Settings
    private let http: AgentHTTP

    /// Asks nothing yet.
    package init(name: String, settings: Settings, http: AgentHTTP) {
        self.name = name
        self.settings = settings
        self.http = http
    }

    /// Asks for a stream, and takes a whole document too.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        var headers = HTTPHeaders([
            ("Accept", "text/event-stream, application/json"), ("Idempotency-Key", request.key),
        ])
        if let key = settings.key { headers.add(name: "Authorization", value: "Bearer \(key)") }
        let body = ChatRequest(
            model: settings.model, systemPrompt: settings.systemPrompt, contextLimits: settings.context
        ).body(of: request)
        let text: String
        do throws(AgentFailure) {
            text = try await http.post(
                body, to: settings.url + "/chat/completions", headers: headers, times: settings.times,
                complaint: ChatCompletion.complaint
            ) { _, body, settle in
                try await Self.read(body, settle, part: part)
            }
        } catch {
            throw withoutKey(error)
        }
        return .reply(JSONValue.object(["type": .string("text"), "text": .string(text)]).text)
    }

    /// Servers repeat a key that they refuse.
    private func withoutKey(_ failure: AgentFailure) -> AgentFailure {
        guard let key = settings.key, !key.isEmpty else { return failure }
        var failure = failure
        failure.message = failure.message.replacing(key, with: "…")
        return failure
    }

    private static func read(
        _ body: AgentBody, _ settle: (String) -> Void, part: @Sendable (String) async -> Void
    ) async throws -> String {
        var answer = ChatAnswer()
        var isSettled = false
        for try await buffer in body {
            let new = try answer.append(buffer.readableBytesView)
            if !new.isEmpty { await part(new) }
            // Nothing after the mark counts, and some servers keep the connection open.
            if answer.isComplete, !isSettled {
                isSettled = true
                settle(try answer.end())
            }
        }
        return try answer.end()
    }
}

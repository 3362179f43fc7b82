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
        /// For a whole answer.
        package var timeout = Duration.seconds(120)

        /// An agent without a key.
        package init(url: String, model: String) {
            self.url = url
            self.model = model
        }
    }

    package let name: String
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
        let text = try await http.post(
            body, to: settings.url + "/chat/completions", headers: headers, timeout: settings.timeout,
            complaint: ChatCompletion.complaint
        ) { _, body in
            try await Self.read(body, part: part)
        }
        return .reply(JSONValue.object(["type": .string("text"), "text": .string(text)]).text)
    }

    /// What a server sends is told by its first byte: a type that says otherwise is common.
    static func read<Body: AsyncSequence>(
        _ body: Body, part: @Sendable (String) async -> Void
    ) async throws -> String where Body.Element == ByteBuffer {
        var completion = ChatCompletion()
        var document: [UInt8] = []
        var isStream: Bool?
        for try await buffer in body {
            if isStream == nil, let first = buffer.readableBytesView.first(where: { !Self.isBlank($0) }) {
                isStream = first != UInt8(ascii: "{")
            }
            guard isStream != false else {
                document += buffer.readableBytesView
                guard document.count <= ChatCompletion.maximumDocumentBytes else {
                    throw AgentFailure(
                        .refused,
                        "The answer has more than \(ChatCompletion.maximumDocumentBytes) bytes.")
                }
                continue
            }
            let new = try completion.append(buffer.readableBytesView)
            if !new.isEmpty { await part(new) }
            // Nothing after the mark counts, and some servers keep the connection open.
            if completion.isComplete { break }
        }
        return isStream == false ? try completion.document(document) : try completion.end()
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        [UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t")].contains(byte)
    }
}

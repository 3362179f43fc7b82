import PairingCore

/// A request of the chat completions interface (`POST /v1/chat/completions`), as far as a device's message is made of
/// it: its last message, which agent is to answer it, in which conversation, and how.
///
/// The messages before the last are not taken: what was said before, the server knows itself. Nor are system prompts,
/// tools and parameters of a model: those are the agent's configuration.
public struct ChatCompletionRequest: Sendable, Equatable {
    /// The model's name that stands for whoever answers the device's channel.
    public static let defaultModel = "default"

    /// The name of the agent that is to answer; `nil` for whoever answers the device's channel.
    public var model: String?
    /// What the device says.
    public var text: String
    /// Whether the answer is wanted in pieces while it is made.
    public var isStream: Bool
    /// Which of the device's conversations: what the body calls `conversation`, or else `user`, by which such clients
    /// tell the people or rooms apart that they speak for.
    public var conversation: ConversationName

    /// Wraps the parts.
    public init(
        model: String?, text: String, isStream: Bool, conversation: ConversationName = .main
    ) {
        self.conversation = conversation
        self.model = model
        self.text = text
        self.isStream = isStream
    }

    /// Reads the body of a request; the caller bounds its size.
    ///
    /// - Throws: `INVALID_REQUEST` that names the member and what was expected.
    public init(parsing body: some Sequence<UInt8>) throws(Refusal) {
        let document = JSONDocument(reading: body)
        let value: JSONValue
        do {
            value = try document.result.get()
        } catch {
            throw Refusal(
                .invalidRequest, "not_json", "The body is not acceptable JSON: \(error).",
                details: ["offset": .integer(Int64(error.offset))])
        }
        guard case .object(let members) = value else {
            throw Refusal(.invalidRequest, "not_an_object", "The body is not a JSON object.")
        }
        if let offset = document.offsetOfNUL {
            throw Refusal(
                .invalidRequest, "nul",
                "The string at byte \(offset) holds NUL (U+0000), which is not accepted.")
        }
        let parameters = Parameters(members)
        let model = try parameters.optional(
            "model", "an agent's name, or \"\(Self.defaultModel)\""
        ) { $0.utf8.count <= DeviceRequest.maximumAgentLength ? $0 : nil }
        self.model = model.flatMap { $0.isEmpty ? nil : $0 }
        switch parameters.value("stream") {
        case nil: isStream = false
        case .bool(let value)?: isStream = value
        default: throw Parameters.refusal("stream", "expected true or false")
        }
        let isNamed = parameters.has("conversation")
        // An empty name of nobody is none.
        conversation =
            !isNamed && parameters.value("user") == .string("")
            ? .main : try parameters.conversation(isNamed ? "conversation" : "user")
        if let count = parameters.value("n"), count.wholeNumber != 1 {
            throw Parameters.refusal("n", "expected 1: a message gets one answer")
        }
        text = try Self.text(ofLast: parameters.value("messages"))
    }

    private static func text(ofLast messages: JSONValue?) throws(Refusal) -> String {
        guard case .array(let messages)? = messages, let last = messages.last else {
            throw Parameters.refusal("messages", "expected an array with at least one message")
        }
        guard last["role"]?.string == "user" else {
            throw Parameters.refusal(
                "messages", "the last message must have the role user; it is the one that is answered")
        }
        let text: String
        switch last["content"] {
        case .string(let content)?: text = content
        case .array(let parts)?:
            var texts: [String] = []
            for part in parts {
                guard part["type"]?.string == "text", let content = part["text"]?.string else {
                    throw Parameters.refusal(
                        "messages", "only parts of the type text are taken of the last message's content")
                }
                texts.append(content)
            }
            text = texts.joined(separator: "\n")
        default:
            throw Parameters.refusal("messages", "expected the last message's content to be text")
        }
        guard !text.isEmpty else { throw Parameters.refusal("messages", "the last message is empty") }
        return text
    }
}

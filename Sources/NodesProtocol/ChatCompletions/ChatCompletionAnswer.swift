import PairingCore

/// What the chat completions interface answers: one document, or a stream of events.
///
/// There is no `usage`: what an answer cost is between its agent and the server's operator.
public struct ChatCompletionAnswer: Sendable, Equatable {
    /// The end of every stream that came to its end.
    public static let done = "data: [DONE]\n\n"
    /// Says nothing; keeps a connection from looking dead.
    public static let comment = ": waiting\n\n"

    /// Names the answer.
    public var id: String
    /// When it was asked for, in seconds since the epoch.
    public var created: Int64
    /// Who answers, as it was asked for.
    public var model: String

    /// Wraps the parts.
    public init(id: String, created: Int64, model: String) {
        self.id = id
        self.created = created
        self.model = model
    }

    /// The whole answer as a document.
    public func document(_ text: String) -> String {
        body(
            "chat.completion",
            [
                "message": .object([
                    "role": .string("assistant"), "content": .string(text), "refusal": .null,
                ]), "finish_reason": .string("stop"), "logprobs": .null,
            ])
    }

    /// The beginning of a stream.
    public var beginning: String {
        event(.object(["role": .string("assistant"), "content": .string("")]))
    }

    /// A piece of a stream.
    public func piece(_ text: String) -> String { event(.object(["content": .string(text)])) }

    /// The end of a stream.
    public var end: String { event(.object([:]), finish: "stop") + Self.done }

    /// The end of a stream that comes to nothing.
    public static func failure(_ refusal: Refusal) -> String {
        "data: \(refusal.chatCompletionsBody)\n\n"
    }

    private func event(_ delta: JSONValue, finish: String? = nil) -> String {
        let text = body(
            "chat.completion.chunk",
            ["delta": delta, "finish_reason": finish.map(JSONValue.string) ?? .null, "logprobs": .null])
        return "data: \(text)\n\n"
    }

    private func body(_ object: String, _ choice: [String: JSONValue]) -> String {
        JSONValue.object([
            "id": .string(id), "object": .string(object), "created": .integer(created),
            "model": .string(model),
            "choices": .array([.object(choice.merging(["index": .integer(0)]) { $1 })]),
        ]).text
    }
}

/// The answers about models, which are agents here.
public enum ChatModels {
    /// The answer to `GET /v1/models`.
    public static func list(_ names: [String]) -> String {
        JSONValue.object(["object": .string("list"), "data": .array(names.map(model))]).text
    }

    /// The answer to `GET /v1/models/NAME`.
    public static func one(_ name: String) -> String { model(name).text }

    private static func model(_ name: String) -> JSONValue {
        .object([
            "id": .string(name), "object": .string("model"), "created": .integer(0),
            "owned_by": .string("goclaw-nodes"),
        ])
    }
}

extension Refusal {
    /// The status of an answer that refuses.
    public var chatCompletionsStatus: Int {
        switch code {
        case .invalidRequest:
            ["message_too_large", "body_too_large"].contains(reason) ? 413 : 400
        case .unauthorized: 401
        case .forbidden, .notPaired: 403
        case .notFound: 404
        case .alreadyExists, .failedPrecondition: 409
        case .resourceExhausted: 429
        case .unavailable: reason == RefusalKind.answerTimeout.reason ? 504 : 503
        case .internal: reason == RefusalKind.agentFailed.reason ? 502 : 500
        }
    }

    /// The body of an answer that refuses: `{"error": {message, type, param, code}}`.
    public var chatCompletionsBody: String {
        let type =
            switch code {
            case .invalidRequest, .notFound, .alreadyExists, .failedPrecondition: "invalid_request_error"
            case .unauthorized: "authentication_error"
            case .forbidden, .notPaired: "permission_error"
            case .resourceExhausted: "rate_limit_error"
            case .unavailable, .internal: "server_error"
            }
        return JSONValue.object([
            "error": .object([
                "message": .string(message), "type": .string(type),
                "param": details["parameter"] ?? .null, "code": .string(reason),
            ])
        ]).text
    }

    /// In how many seconds the same request may succeed; `nil` where it will not, or nobody can tell.
    public var retryAfterSeconds: Int64? {
        guard retryable, let retryAfter else { return nil }
        return max(1, (retryAfter.milliseconds + 999) / 1000)
    }
}

import Cryptography
import PairingCore

/// What of a conversation goes along.
package struct ContextLimits: Sendable, Equatable {
    /// Messages before this one.
    package var messages = 20
    /// Bytes of their text together.
    package var bytes = 32 << 10

    /// The limits as shipped.
    package init() {}

    /// Nothing goes along.
    package static var none: ContextLimits {
        var limits = ContextLimits()
        (limits.messages, limits.bytes) = (0, 0)
        return limits
    }
}

/// The request to a server with the chat completions interface.
struct ChatRequest {
    var model: String
    var systemPrompt: String
    var contextLimits: ContextLimits

    /// The request's body.
    func body(of request: AgentRequest) -> String {
        var messages: [JSONValue] = []
        if !systemPrompt.isEmpty { messages.append(Self.message("system", systemPrompt)) }
        messages += recent(request.context).map {
            Self.message($0.isFromDevice ? "user" : "assistant", spokenText(of: $0.body))
        }
        messages.append(Self.message("user", spokenText(of: request.body)))
        return JSONValue.object([
            "model": .string(model), "messages": .array(messages), "stream": .bool(true),
            "user": .string(Self.user(request.senderID)),
        ]).text
    }

    /// A stable name for the device that tells the server nothing about it.
    static func user(_ senderID: SenderID) -> String {
        "device-\(hexadecimal(sha256(senderID.key.utf8).prefix(16)))"
    }

    private func recent(_ context: [AgentRequest.Turn]) -> [AgentRequest.Turn] {
        var room = contextLimits.bytes
        let newestFirst = context.reversed().prefix(contextLimits.messages).prefix { turn in
            room -= turn.body.utf8.count
            return room >= 0
        }
        return newestFirst.reversed()
    }

    private static func message(_ role: String, _ text: String) -> JSONValue {
        .object(["role": .string(role), "content": .string(text)])
    }
}

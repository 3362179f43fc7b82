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

    /// What a model wanted done, and what came of each.
    struct Round {
        var text: String
        var calls: [(call: ChatToolCalls.Call, result: String)]
    }

    /// The request's body.
    ///
    /// - Parameters:
    ///   - rounds: what the model had done for this message before.
    ///   - mayCall: whether it may have more done.
    func body(
        of request: AgentRequest, tools: ChatTools? = nil, after rounds: [Round] = [], mayCall: Bool = true
    ) -> String {
        var messages: [JSONValue] = []
        if !systemPrompt.isEmpty { messages.append(Self.message("system", systemPrompt)) }
        messages += recent(request.context).map {
            Self.message($0.isFromDevice ? "user" : "assistant", spokenText(of: $0.body))
        }
        messages.append(Self.message("user", spokenText(of: request.body)))
        for round in rounds { messages += Self.messages(of: round) }
        var members: [String: JSONValue] = [
            "model": .string(model), "messages": .array(messages), "stream": .bool(true),
            "user": .string(Self.user(request.senderID)),
        ]
        if let tools {
            members["tools"] = tools.offer
            // Left out they could not be: servers refuse results of tools that they don't know.
            if !mayCall { members["tool_choice"] = .string("none") }
        }
        return JSONValue.object(members).text
    }

    private static func messages(of round: Round) -> [JSONValue] {
        let calls = round.calls.map { call, _ in
            JSONValue.object([
                "id": .string(call.id), "type": .string("function"),
                "function": .object([
                    "name": .string(call.name),
                    "arguments": .string(call.arguments.isEmpty ? "{}" : call.arguments),
                ]),
            ])
        }
        let said = JSONValue.object([
            "role": .string("assistant"), "content": round.text.isEmpty ? .null : .string(round.text),
            "tool_calls": .array(calls),
        ])
        return [said]
            + round.calls.map { call, result in
                .object([
                    "role": .string("tool"), "tool_call_id": .string(call.id), "content": .string(result),
                ])
            }
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

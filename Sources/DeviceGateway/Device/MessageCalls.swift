import NodesProtocol
import PairingCore
import PairingKernel

/// What sockets ask about messages, beside sending and acknowledging them.
enum MessageCall: Sendable {
    case status(messageID: String, SessionGrant)
    case abort(messageID: String, SessionGrant)
    case history(MessageHistory.Cursor, limit: Int, ConversationName, SessionGrant)
    case agents(SessionGrant)
    case push(PushRequest, Authority)
    case pushStatus(SenderID, pushID: String, Authority)

    /// The method of an administrator's request, and whose it is.
    var administrative: (method: MethodName, authority: Authority)? {
        switch self {
        case .status, .abort, .history, .agents: nil
        case .push(_, let authority): (.messagePush, authority)
        case .pushStatus(_, _, let authority): (.messageStatus, authority)
        }
    }

    /// Asks the kernel. Called on any thread.
    func answer(
        kernel: Kernel, sessions: DeviceSessions, socket: any DeviceSocket
    ) async throws(Refusal) -> JSONValue {
        switch self {
        case .status(let id, let grant):
            return .report(
                try await sessions.status(ofMessage: id, grant: grant, on: socket), "messageId", id)
        case .abort(let id, let grant):
            return .report(
                try await sessions.abort(message: id, grant: grant, on: socket), "messageId", id)
        case .history(let cursor, let limit, let conversation, let grant):
            return try await sessions.history(
                in: conversation, before: cursor, limit: limit, grant: grant, on: socket
            ).payload(of: conversation)
        case .agents(let grant):
            let names = try await sessions.agentNames(of: grant, on: socket)
            return .object(["agents": .array(names.map(JSONValue.string))])
        case .push(let push, let authority):
            return .report(
                try await sessions.push(
                    push.message, to: push.senderID, id: push.pushID, agent: push.agent,
                    lifetime: push.lifetime, by: authority), "pushId", push.pushID)
        case .pushStatus(let senderID, let id, let authority):
            return .report(
                try await kernel.messages.status(ofPush: id, to: senderID, by: authority), "pushId", id)
        }
    }
}

extension JSONValue {
    fileprivate static func report(
        _ report: MessageReport, _ name: String, _ id: String
    ) -> JSONValue {
        var payload: [String: JSONValue] = [
            name: .string(id), "messageSeq": .integer(report.sequence),
            "status": .string(report.status.rawValue),
        ]
        if let reason = report.reason { payload["reason"] = .string(reason) }
        if let readAt = report.readAt { payload["readAt"] = .integer(readAt.milliseconds) }
        return .object(payload)
    }
}

import PairingCore

/// What nodes say and are told: they carry out commands, and may talk as well.
extension OpenClawDialect {
    /// What stands between a command's name and its identifier in an invocation's: no name has it.
    private static let separator: Character = "#"
    /// How long a node may take where the command does not say so, in milliseconds.
    private static let invocationTime: Int64 = 30_000

    /// What a node has to say: an agent's request or what it heard; anything else is taken and not kept.
    mutating func nodeEvent(_ frame: RequestFrame) -> [DialectStep] {
        let payload = Self.payload(frame.parameters)
        let text: String?
        switch frame.parameters["event"]?.string {
        case "agent.request": text = payload?["message"]?.string
        case "voice.transcript": text = payload?["text"]?.string
        default: text = nil
        }
        guard let text, !text.isEmpty else { return [answer(frame, ["ok": .bool(true)])] }
        return send(
            frame.id, text.json, payload?.members ?? [:], isAgent: false, isNode: true,
            messageID: payload?["idempotencyKey"]?.string ?? facts.makeMessageID())
    }

    /// An agent's command for a node. Whoever repeats it after a lost answer repeats its identifier as well.
    ///
    /// - Returns: `nil` where the client at the other end carries no commands out, or this is none.
    func invocation(_ message: JSONValue, number: Int64) -> [String: JSONValue]? {
        guard let connected, connected.role == "node", message["type"]?.string == "command",
            let command = message["command"]?.string, !command.contains(Self.separator)
        else { return nil }
        let id = "\(command)\(Self.separator)\(message["callId"]?.string ?? String(number))"
        var payload: [String: JSONValue] = [
            "id": .string(id), "nodeId": .string(connected.deviceID), "command": .string(command),
            "timeoutMs": .integer(message["timeoutMs"]?.wholeNumber ?? Self.invocationTime),
            "idempotencyKey": .string(id),
        ]
        if let params = message["parameters"], params != .null {
            payload["paramsJSON"] = .string(params.text)
        }
        return payload
    }

    /// `node.invoke.result`: becomes the acknowledgement of the command. The invocation's identifier says all that it
    /// takes, so that the result may come on another socket than the command went out on.
    mutating func invocationResult(_ frame: RequestFrame) -> [DialectStep] {
        let parts = (frame.parameters["id"]?.string ?? "").split(
            separator: Self.separator, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, case .bool(let isDone)? = frame.parameters["ok"] else {
            return [invalid(frame, "id and ok: expected those of a node.invoke.request")]
        }
        var message: [String: JSONValue] = [
            "type": .string("ack"), "command": .string(String(parts[0])),
            "callId": .string(String(parts[1])), "ok": .bool(isDone),
        ]
        if let result = Self.payload(frame.parameters), result != .null { message["result"] = result }
        if let error = frame.parameters["error"], error != .null {
            message["detail"] = .string(error["message"]?.string ?? error["code"]?.string ?? error.text)
        }
        let name = "result:\(parts[0])\(Self.separator)\(parts[1])"
        return [
            ask(
                .invocationResult(frame.id),
                .send(
                    messageID: name.utf8.count <= DeviceRequest.maximumMessageIDLength
                        ? name : facts.makeMessageID(),
                    message: JSONValue.object(message).text))
        ]
    }

    /// What clients send as JSON text or as it is.
    private static func payload(_ parameters: [String: JSONValue]) -> JSONValue? {
        parameters["payloadJSON"]?.string.map { text in
            (try? JSONValue(parsing: text.utf8)) ?? .string(text)
        } ?? parameters["payload"]
    }
}

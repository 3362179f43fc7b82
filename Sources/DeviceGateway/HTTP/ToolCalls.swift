import NIOHTTP1
import NodesProtocol
import PairingCore
import PairingKernel

/// Answers what a program asks of `/mcp`.
struct ToolCalls: Sendable {
    let context: GatewayContext
    let authority: Authority
    let address: ClientAddress
    /// Pays for one more call; returns how long to wait where that is too often. Called on any thread.
    let pay: @Sendable () -> Duration?

    /// How many bytes of answers a list may have before what is left of it is refused.
    private static let maximumListBytes = 2 << 20

    /// The answer to a request's body. Called on any thread; it takes as long as the calls in it.
    func answer(_ body: [UInt8], _ version: MCPVersion) async -> HTTPAnswer {
        do throws(MCPFault) {
            let (messages, isBatch) = try MCPMessage.read(body, version)
            var answers: [String] = []
            var bytes = 0
            for (place, message) in messages.enumerated() {
                switch message {
                case .notice: continue
                case .fault(let id, let fault):
                    if !isBatch, id == .null { return HTTPRefusal(fault, .badRequest).answer }
                    answers.append(fault.answer(to: id).text)
                case .request(let id, let request):
                    // The first was paid for with the request.
                    let refusal =
                        bytes > Self.maximumListBytes
                        ? Refusal(.listFull)
                        : place == 0 ? nil : pay().map { Refusal(.tooOften, retryAfter: $0) }
                    if let refusal {
                        context.metrics.refusal(refusal)
                        answers.append(MCPAnswer.result(MCPAnswer.refused(refusal), to: id).text)
                    } else {
                        answers.append(await answer(request, id).text)
                    }
                }
                bytes += answers.last?.utf8.count ?? 0
            }
            guard let first = answers.first else { return HTTPAnswer(.accepted, "") }
            var answer = HTTPAnswer(
                .ok, isBatch ? "[\(answers.joined(separator: ","))]" : first, contentType: "application/json")
            // Nothing of it comes in pieces: nginx takes it at once, however slowly the program reads.
            answer.fields["X-Accel-Buffering"] = "yes"
            return answer
        } catch {
            return HTTPRefusal(error, .badRequest).answer
        }
    }

    private func answer(_ request: MCPRequest, _ id: JSONValue) async -> JSONValue {
        switch request {
        case .initialize(let version):
            return MCPAnswer.result(
                MCPAnswer.initialized(version, program: "\(NodesProtocol.version)"), to: id)
        case .ping: return MCPAnswer.result(.object([:]), to: id)
        case .listTools:
            return MCPAnswer.result(
                ToolName.list(showsText: context.kernel.settings.showsMessageText), to: id)
        case .callTool(let tool, let arguments):
            do throws(Refusal) {
                let call = try ToolCall(tool, arguments, newID: GatewayContext.makeNonce)
                return MCPAnswer.result(try await carryOut(call, tool), to: id)
            } catch {
                context.metrics.refusal(error)
                return MCPAnswer.result(MCPAnswer.refused(error), to: id)
            }
        }
    }

    private func carryOut(_ call: ToolCall, _ tool: ToolName) async throws(Refusal) -> JSONValue {
        let tools = context.kernel.tools
        switch call {
        case .listDevices(let text, let channel, let isConnected, let limit, let cursor):
            try await tools.note(tool.rawValue, from: address, by: authority)
            var filter = DeviceFilter(text: text)
            (filter.channel, filter.isConnected) = (channel, isConnected)
            let page = try await tools.devices(filter, after: cursor, limit: limit, by: authority)
            var found: [String: JSONValue] = ["devices": .array(page.rows.map(\.told))]
            found["nextCursor"] = page.next.map(JSONValue.string)
            return MCPAnswer.found(.object(found))
        case .sendMessage(let push):
            try await tools.note(tool.rawValue, about: push.senderID, from: address, by: authority)
            let report = try await context.sessions.push(
                push.message, to: push.senderID, id: push.pushID, agent: push.agent, lifetime: push.lifetime,
                by: authority)
            var told: [String: JSONValue] = [
                "id": .string(push.pushID), "messageSeq": .integer(report.sequence),
                "status": .string(report.status.rawValue),
            ]
            told["reason"] = report.reason.map(JSONValue.string)
            return MCPAnswer.found(.object(told))
        case .runCommand(let senderID, let command, let parameters, let id, let limit):
            let report = try await context.sessions.call(
                WantedCommand(
                    senderID: senderID, name: command, parameters: parameters, id: id, limit: limit),
                from: address, by: authority)
            return MCPAnswer.found(report.told, isError: report.outcome != .done)
        case .readReadings(let senderID, let limit):
            try await tools.note(tool.rawValue, about: senderID, from: address, by: authority)
            let found = try await tools.readings(of: senderID, limit: limit, by: authority)
            return MCPAnswer.found(
                .object([
                    "declared": .array(found.device.declaredReadings),
                    "readings": .array(found.readings.map(\.told)),
                ]))
        case .readMessages(let senderID, let limit):
            let messages = try await tools.messages(
                of: senderID, limit: limit, from: address, by: authority)
            return MCPAnswer.found(.object(["messages": .array(messages.map(\.told))]))
        }
    }
}

extension PairingAdministration.DeviceRow {
    /// What programs of agents see of a device.
    fileprivate var told: JSONValue {
        .object([
            "senderId": .string(device.senderID.text), "channel": .string(device.channel.text),
            "name": .string(device.shownName), "connected": .bool(isConnected),
            "lastSeenAt": lastSeenAt.map { .integer($0.milliseconds) } ?? .null,
            "commands": .array(device.commands.map(\.told)), "readings": .array(device.declaredReadings),
        ])
    }
}

extension DeviceCommand {
    fileprivate var told: JSONValue {
        .object([
            "name": .string(name), "description": .string(summary), "parameters": parameters,
            "timeoutS": .integer(limit.components.seconds),
        ])
    }
}

extension CommandReport {
    fileprivate var told: JSONValue {
        var members: [String: JSONValue] = [
            "callId": .string(callID), "outcome": .string(outcome.rawValue),
        ]
        members["result"] = answer["result"]
        members["detail"] = answer["detail"]
        members["message"] = problem.map(JSONValue.string)
        return .object(members)
    }
}

extension ToolDesk.Reading {
    fileprivate var told: JSONValue {
        .object([
            "messageSeq": .integer(sequence), "at": .integer(at.milliseconds), "values": .object(values),
        ])
    }
}

extension DeviceSight.Message {
    fileprivate var told: JSONValue {
        var members: [String: JSONValue] = [
            "from": .string(isFromDevice ? "device" : "agent"), "messageSeq": .integer(sequence),
            "at": .integer(createdAt.milliseconds), "text": text.map(JSONValue.string) ?? .null,
        ]
        members["agent"] = agent.map(JSONValue.string)
        return .object(members)
    }
}

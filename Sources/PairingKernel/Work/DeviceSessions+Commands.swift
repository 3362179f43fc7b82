import Agents
import Logging
import PairingCore
import PairingStore

/// Has devices carry out what agents want: each command is a push to the device's session, and its answer a message of
/// the device that goes to nobody else.
extension DeviceSessions {
    /// The commands that the device declares, for an agent that has tools called.
    ///
    /// - Throws: a failure to be tried again, where they cannot be read.
    func tools(
        for ask: AgentWorkMachine.Ask, of agent: any Agent
    ) async throws(AgentFailure) -> AgentTools? {
        guard agent.usesTools else { return nil }
        let sender = ask.sender
        let commands: [DeviceCommand]
        do {
            let device = try await store.activeDevices(of: [sender.senderID])[sender.senderID.key]
            guard let device, device.generation == sender.generation else { return nil }
            commands = DeviceCommand.declared(in: device.profile.metadata)
        } catch {
            throw AgentFailure(.unreachable, "The device's commands could not be read.")
        }
        if commands.isEmpty { return nil }
        let offered = commands.map {
            AgentTools.Tool(name: $0.name, summary: $0.summary, parameters: $0.parameters)
        }
        return AgentTools(offered) { call in
            guard let command = commands.first(where: { $0.name == call.name }) else {
                return Self.problem("The device has no command of this name.")
            }
            let named = PairingStore.CommandCall(
                key: call.key, sender: sender, channel: ask.channel, command: command.name, agent: ask.agent,
                limit: command.limit)
            return await self.run(named, call.arguments)
        }
    }

    /// - Returns: what came of it, for the model.
    private func run(_ call: PairingStore.CommandCall, _ parameters: JSONValue) async -> String {
        do {
            var state = try await store.begin(call)
            if state.outcome == nil {
                if state.left > .zero { try await send(call, parameters, lifetime: state.left) }
                state = try await wait(for: call, state)
            }
            return Self.words(state, call)
        } catch {
            // In a task of its own: this one may be cancelled, and then nothing can be stored by it.
            let actor = Actor.system
            Task { [store, logger] in
                do {
                    _ = try await store.endCommand(call.key, of: call.sender, .abandoned, by: actor)
                } catch {
                    logger.warning("A command's end could not be recorded", metadata: ["error": "\(error)"])
                }
            }
            if let refusal = error as? Refusal { return Self.problem(refusal.message) }
            return Self.problem("The command could not be sent.")
        }
    }

    /// The call's key is the push's as well, so that a device gets a command once, however often it is asked for; and
    /// after its time it is not sent any more.
    private func send(
        _ call: PairingStore.CommandCall, _ parameters: JSONValue, lifetime: Duration
    ) async throws(Refusal) {
        let body = JSONValue.object([
            "type": .string("command"), "command": .string(call.command), "callId": .string(call.key),
            "parameters": parameters,
            "timeoutMs": .integer(Int64(call.limit.components.seconds * 1000)),
        ])
        let stored = try await desk.store(
            PairingStore.Push(
                senderID: call.sender.senderID, pushID: call.key, agent: call.agent, body: body.text,
                lifetime: lifetime, actor: .system))
        if let message = stored.message, let epoch = stored.epoch {
            self.stored([message], for: stored.sender, epoch: epoch)
        }
    }

    /// Looks in the database again and again: the device may have its session, and answer, at another gateway.
    private func wait(
        for call: PairingStore.CommandCall, _ begun: PairingStore.CommandState
    ) async throws -> PairingStore.CommandState {
        var state = begun
        var pause = Duration.milliseconds(20)
        while state.outcome == nil, state.left > .zero {
            try await Task.sleep(for: min(pause, state.left))
            pause = min(pause * 2, .milliseconds(250))
            guard let now = try await store.commandState(of: call.key) else { break }
            state = now
        }
        if state.outcome != nil { return state }
        _ = try await store.endCommand(call.key, of: call.sender, .unanswered, by: .system)
        // The device may have answered just now.
        if let last = try await store.commandState(of: call.key) { return last }
        state.outcome = .unanswered
        return state
    }

    private static func words(
        _ state: PairingStore.CommandState, _ call: PairingStore.CommandCall
    ) -> String {
        let answer = state.answer ?? "{}"
        switch state.outcome {
        case .done: return #"{"ok":true,"answer":\#(answer)}"#
        case .refused: return #"{"ok":false,"error":"The device refuses the command.","answer":\#(answer)}"#
        case .away: return problem("The device is not connected. The command was not sent.")
        case .unanswered, nil:
            return problem(
                "The device did not answer within \(call.limit.components.seconds) seconds. It may have carried "
                    + "out the command all the same.")
        case .abandoned:
            return problem(
                "The command was given up. The device may have carried it out all the same.")
        }
    }

    private static func problem(_ sentence: String) -> String {
        JSONValue.object(["ok": .bool(false), "error": .string(sentence)]).text
    }

    /// Ends the call that a device's message answers.
    ///
    /// - Returns: whether it answers one, so that no agent is to get it as a message of its own.
    func takeAnswer(_ body: String, from sender: PairingStore.PairedSender) async throws(Refusal) -> Bool {
        guard let answer = CommandAnswer(body) else { return false }
        return try await refusing(logger) {
            try await store.endCommand(
                answer.callID, of: sender, answer.isDone ? .done : .refused, answer: answer.text, by: .device)
        }
    }
}

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
            commands = device.commands
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

    /// Has a paired device carry out a command that it declares, and waits for what comes of it.
    ///
    /// - Throws: `NOT_FOUND` where no such device is paired or it declares no such command, `FAILED_PRECONDITION` where
    ///   an administrator switched it off, `INVALID_REQUEST` for parameters that its schema does not allow.
    public func call(
        _ wanted: WantedCommand, from address: ClientAddress?, by authority: Authority
    ) async throws(Refusal) -> CommandReport {
        try authority.require(.send)
        let key = wanted.senderID.key
        let device = try await refusing(logger) {
            try await store.activeDevices(of: [wanted.senderID])[key]
        }
        guard let device else { throw .noSuchDevice }
        let declared = DeviceCommand.declared(in: device.profile.metadata)
        guard let command = declared.first(where: { $0.name == wanted.name }) else {
            throw .unknownCommand(wanted.name, device.commands.map(\.name))
        }
        let call = PairingStore.CommandCall(
            key: wanted.key(of: authority, device.generation),
            sender: PairingStore.PairedSender(senderID: device.senderID, generation: device.generation),
            channel: device.channel, command: command.name, agent: authority.actor.name,
            limit: wanted.limit ?? command.limit,
            origination: Origination(authority.actor, address: address))
        return try await refusing(logger) {
            try await self.carryOut(call, wanted.parameters, mayBeRepeated: wanted.id != nil)
        }
    }

    /// - Returns: what came of it, for the model.
    private func run(_ call: PairingStore.CommandCall, _ parameters: JSONValue) async -> String {
        do {
            return try await carryOut(call, parameters).words
        } catch {
            if let refusal = error as? Refusal { return Self.problem(refusal.message) }
            return Self.problem("The command could not be sent.")
        }
    }

    /// - Parameter mayBeRepeated: whether who asked for it may ask again, and then wants to know how this call ended.
    private func carryOut(
        _ call: PairingStore.CommandCall, _ parameters: JSONValue, mayBeRepeated: Bool = false
    ) async throws -> CommandReport {
        do {
            // Before it begins, so that no end is missed.
            let end = commandWaits.begin(call.key)
            defer { commandWaits.end(call.key, end.id) }
            var state = try await store.begin(call)
            if state.outcome == nil {
                if state.left > .zero { try await send(call, parameters, lifetime: state.left) }
                state = try await wait(for: call, state, end.wakes)
            }
            return CommandReport(call, state)
        } catch {
            let isOff = (error as? Refusal)?.reason == Refusal.switchedOff(call.command).reason
            // Its device may still answer it, or others wait for that; when its time is over the sweeper ends it.
            if mayBeRepeated, !isOff { throw error }
            // In a task of its own: this one may be cancelled, and then nothing can be stored by it.
            let actor = call.origination.actor
            Task { [store, logger] in
                do {
                    _ = try await store.endCommand(
                        call.key, of: call.sender, isOff ? .switchedOff : .abandoned, by: actor)
                } catch {
                    logger.warning("A command's end could not be recorded", metadata: ["error": "\(error)"])
                }
            }
            throw error
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
                lifetime: lifetime, actor: call.origination.actor))
        if let message = stored.message, let epoch = stored.epoch {
            self.stored([message], for: stored.sender, epoch: epoch)
        }
    }

    /// The event feed tells when it has ended, wherever the device has its session by then. Now and then the database is
    /// asked all the same: the feed is behind where the notification was lost.
    private func wait(
        for call: PairingStore.CommandCall, _ begun: PairingStore.CommandState, _ ends: AsyncStream<Void>
    ) async throws -> PairingStore.CommandState {
        var state = begun
        let clock = Task { [commandWaits] in
            let until = ContinuousClock.now + begun.left
            while !Task.isCancelled {
                let left = until - .now
                try? await Task.sleep(for: left > .zero ? min(.seconds(2), left) : .milliseconds(50))
                commandWaits.wake(call.key)
            }
        }
        defer { clock.cancel() }
        for await _ in ends {
            guard let now = try await store.commandState(of: call.key) else { break }
            state = now
            if state.outcome != nil || state.left <= .zero { break }
        }
        try Task.checkCancellation()
        if state.outcome != nil { return state }
        _ = try await store.endCommand(call.key, of: call.sender, .unanswered, by: .system)
        // The device may have answered just now.
        if let last = try await store.commandState(of: call.key) { return last }
        state.outcome = .unanswered
        return state
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

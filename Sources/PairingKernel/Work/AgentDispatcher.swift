import Agents
import Logging
import PairingCore
import PairingStore
import Synchronization

/// Who hears of what agents make of messages.
protocol AgentAudience: Sendable {
    /// Messages to a device were stored, and claimed for its session of this epoch.
    func stored(_ messages: [PairingStore.StoredMessage], for sender: PairingStore.PairedSender, epoch: Epoch)
    /// What an agent may have done while it answers a message.
    func tools(for ask: AgentWorkMachine.Ask, of agent: any Agent) async throws(AgentFailure) -> AgentTools?
    /// Something of an answer under way that is not kept; a session that is slow loses it.
    func tell(_ notice: AgentNotice, _ sender: PairingStore.PairedSender) async
    /// The work on a message has come to its end, and that is stored; the messages to the device that it made.
    func settled(_ settlement: PairingStore.Settlement, _ messages: [PairingStore.StoredMessage])
    /// A message has come to its end before, somewhere.
    func look(for settlement: PairingStore.Settlement)
}

/// Has devices' messages answered by agents, whether the devices are connected or not: what
/// ``AgentWorkMachine`` decides is carried out here.
///
/// The work is claimed under a lease, so that what a dead instance had claimed is taken over by another; an agent may
/// then be asked again, with the same key.
final class AgentDispatcher: Sendable {
    struct State {
        var machine: AgentWorkMachine
        var calls: [AgentWorkMachine.AskID: Task<Void, Never>] = [:]
    }

    /// As whom this instance claims work.
    let claim: PairingStore.WorkClaim
    let store: PairingStore
    let agents: AgentDirectory
    let logger: Logger
    let metrics = AgentWorkMetrics()
    let traces = MessageTraces()
    /// Whether devices of that channel are told when an agent begins to answer.
    private let typing: @Sendable (ChannelID) -> Bool
    let state: Mutex<State>
    private let asks = AsyncStream.makeStream(of: AgentWorkMachine.Ask.self)
    let claims = Wake()
    private let settlements = Wake()
    let releases = Wake()
    let timers = Wake()

    /// A call for one task; calls that come together are one.
    struct Wake {
        private let pair = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        var calls: AsyncStream<Void> { pair.stream }
        func call() { pair.continuation.yield() }
    }

    init(
        store: PairingStore, agents: AgentDirectory, instanceID: InstanceID, lease: Duration,
        limits: AgentWorkMachine.Limits = AgentWorkMachine.Limits(),
        batching: @escaping @Sendable (ChannelID) -> Batching? = { _ in nil },
        lifetime: @escaping @Sendable (ChannelID) -> Duration? = { _ in nil },
        typing: @escaping @Sendable (ChannelID) -> Bool = { _ in false }, logger: Logger
    ) {
        self.typing = typing
        self.store = store
        self.agents = agents
        self.logger = logger
        claim = PairingStore.WorkClaim(instance: instanceID, lease: lease)
        state = Mutex(
            State(
                machine: AgentWorkMachine(limits: limits, batching: batching, lifetime: lifetime) {
                    agents.defaultAgent(for: $0).name
                }))
    }

    // MARK: What happens elsewhere

    /// A batch of messages was accepted. Called in the order in which their devices sent them.
    func accepted(
        _ messages: [PairingStore.InboundMessage], on channel: ChannelID,
        _ outcomes: [Outcome<PairingStore.Acceptance>]
    ) {
        apply { machine in
            let now = ContinuousClock.now
            for (message, outcome) in zip(messages, outcomes) {
                guard case .done(let acceptance) = outcome else { continue }
                let sender = message.session.sender
                if acceptance.isRepeat {
                    // The commit that accepted it may have had no answer, so that nobody works on it.
                    if acceptance.openBefore != nil, !machine.holds(acceptance.sequence, of: sender.senderID)
                    {
                        machine.want(sender.senderID)
                    }
                } else if message.forwarded.isEmpty {
                    machine.passed(acceptance.sequence, of: sender.senderID)
                } else if let openBefore = acceptance.openBefore {
                    machine.accepted(
                        PairingStore.OpenWork(
                            sequence: acceptance.sequence, messageID: message.messageID,
                            parts: message.parts(for: acceptance.agent),
                            conversation: message.conversation),
                        of: sender, on: channel, openBefore: openBefore, now: now)
                } else {
                    machine.lose([sender.senderID.key])
                }
            }
        }
    }

    /// Whether a message of a device is worked on here.
    func holds(_ sequence: Int64, of senderID: SenderID) -> Bool {
        state.withLock { $0.machine.holds(sequence, of: senderID) }
    }

    /// There may be work for these devices that nobody here knows of.
    func want(_ senderIDs: [SenderID]) {
        apply { machine in for senderID in senderIDs { machine.want(senderID) } }
    }

    /// The device gave a message up.
    func abort(_ sequence: Int64, of key: String) { apply { $0.abort(sequence, of: key, now: .now) } }

    /// The pairing has ended.
    func revoke(_ senderID: SenderID, below generation: Generation) {
        apply { $0.revoke(senderID, below: generation) }
    }

    // MARK: Life

    /// Works until its task is cancelled.
    func run(telling audience: some AgentAudience) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.callAgents(audience) }
            group.addTask { await self.claimWanted() }
            group.addTask { await self.storeResults(audience) }
            group.addTask { await self.giveBack() }
            group.addTask { await self.keepTime() }
            group.addTask { await self.lookForWork() }
            group.addTask { await self.renew() }
        }
    }

    /// Gives back what is claimed, once ``run(telling:)`` has ended.
    func stop() async {
        let keys = state.withLock { $0.machine.stop() }
        do {
            try await store.releaseWork(of: keys, by: claim.instance)
        } catch {
            logger.info("Claims on agents' work end by themselves", metadata: ["error": "\(error)"])
        }
    }

    /// Changes the machine, and has carried out what it wants done.
    @discardableResult
    func apply<Value: Sendable>(_ body: (inout AgentWorkMachine) -> Value) -> Value {
        let (value, actions, cancelled) = state.withLock { state in
            let value = body(&state.machine)
            let actions = state.machine.takeActions()
            return (value, actions, actions.cancels.compactMap { state.calls[$0] })
        }
        for call in cancelled { call.cancel() }
        if actions.hasClaims { claims.call() }
        if actions.hasSettlements { settlements.call() }
        if actions.hasReleases { releases.call() }
        if actions.hasTimers { timers.call() }
        ask(actions.asks)
        return value
    }

    /// Has agents asked; those that know their answer at once have given it when this returns.
    private func ask(_ asks: [AgentWorkMachine.Ask]) {
        var answered: [(AgentWorkMachine.AskID, AgentWorkMachine.Answer)] = []
        for ask in asks {
            if let answer = answerAtOnce(to: ask) {
                answered.append((ask.id, answer))
            } else {
                self.asks.continuation.yield(ask)
            }
        }
        if answered.isEmpty { return }
        // What follows them is asked by this, a message of each device at a time.
        apply { machine in for (id, answer) in answered { machine.answered(id, answer, now: .now) } }
    }

    /// What needs neither time nor anybody else; `nil` where an agent has to be asked.
    private func answerAtOnce(to ask: AgentWorkMachine.Ask) -> AgentWorkMachine.Answer? {
        guard let agent = try? agents.agent(named: ask.agent) else { return nil }
        if ask.isNotice, !agent.hearsNotices { return .replied(nil) }
        return agent.answerAtOnce(to: ask.body).map { AgentWorkMachine.Answer($0, of: agent) }
    }

    // MARK: Agents

    private func callAgents(_ audience: some AgentAudience) async {
        await withDiscardingTaskGroup { group in
            for await ask in asks.stream {
                group.addTask { await self.call(ask, audience) }
            }
            group.cancelAll()
        }
    }

    /// Asks an agent in a task that can be cancelled alone, and waits for its end.
    private func call(_ ask: AgentWorkMachine.Ask, _ audience: some AgentAudience) async {
        let call = Task { await traces.asking(ask) { await self.answer(ask, audience) } }
        let isAwaited = state.withLock { state in
            state.calls[ask.id] = call
            return state.machine.awaits(ask.id)
        }
        if !isAwaited { call.cancel() }
        await withTaskCancellationHandler {
            await call.value
        } onCancel: {
            call.cancel()
        }
        _ = state.withLock { $0.calls.removeValue(forKey: ask.id) }
    }

    /// - Returns: whether the agent answered.
    private func answer(_ ask: AgentWorkMachine.Ask, _ audience: some AgentAudience) async -> Bool {
        var answer: AgentWorkMachine.Answer
        do throws(AgentFailure) {
            let agent = try agent(named: ask.agent)
            if typing(ask.channel), !ask.isNotice {
                await audience.tell(.typing(messageID: ask.messageID, agent: ask.agent), ask.sender)
            }
            do throws(AgentFailure) {
                let tools = try await audience.tools(for: ask, of: agent)
                answer = AgentWorkMachine.Answer(
                    try await agent.answer(
                        await store.request(ask, of: agent, tools: tools), part: parts(of: ask, audience)),
                    of: agent)
            } catch {
                answer = .failed(
                    reason: error.reason.rawValue,
                    delay: agent.retries.pause(afterAttempt: ask.attempts + 1, failure: error))
                report(error, ask)
            }
        } catch {
            answer = .failed(reason: error.reason.rawValue, delay: nil)
            report(error, ask)
        }
        if ask.isNotice { answer = answer.ofNotice }
        let isAwaited = apply { $0.answered(ask.id, answer, now: .now) }
        if isAwaited, !ask.isNotice, case .failed(let reason, .some) = answer {
            await audience.tell(
                .failed(messageID: ask.messageID, reason: reason, isRetrying: true), ask.sender)
        }
        if case .replied = answer { return true }
        return false
    }

    private func agent(named name: String) throws(AgentFailure) -> any Agent {
        do throws(AgentDirectory.UnknownAgent) {
            return try agents.agent(named: name)
        } catch {
            throw AgentFailure(.refused, "\(error).")
        }
    }

    private func parts(
        of ask: AgentWorkMachine.Ask, _ audience: some AgentAudience
    ) -> @Sendable (String) async -> Void {
        let number = PartNumber()
        return { text in
            await audience.tell(
                .part(messageID: ask.messageID, agent: ask.agent, number: number.next(), text: text),
                ask.sender)
        }
    }

    private func report(_ failure: AgentFailure, _ ask: AgentWorkMachine.Ask) {
        guard failure.reason != .cancelled else { return }
        logger.info(
            "An agent did not answer a message",
            metadata: [
                "agent": "\(ask.agent)", "senderId": "\(ask.sender.senderID)",
                "messageSeq": "\(ask.sequence)", "attempt": "\(ask.attempts + 1)", "reason": "\(failure)",
            ])
    }

    // MARK: The store

    private func storeResults(_ audience: some AgentAudience) async {
        for await _ in settlements.calls {
            while true {
                let batch = apply { $0.takeSettlements() }
                if batch.isEmpty { break }
                await settle(batch, audience)
                if Task.isCancelled { return }
            }
        }
    }

    private func settle(_ batch: [PairingStore.Settlement], _ audience: some AgentAudience) async {
        do {
            let outcomes = try await store.settle(batch, for: claim)
            apply { $0.settled(batch, outcomes, now: .now) }
            for (settlement, outcome) in zip(batch, outcomes) {
                await pass(settlement, outcome, to: audience)
            }
        } catch {
            if case .broken = StoreFailure(error) { return await settleEach(batch, error, audience) }
            apply { $0.settlementsFailed(batch) }
            if StoreFailure(error) == .cancelled { return }
            logger.warning("Agents' answers wait to be stored", metadata: ["error": "\(error)"])
            // Nothing tells when the database is back; the pool answers at once until then.
            try? await Task.sleep(for: .milliseconds(300))
        }
    }

    /// One that can't be stored is no reason for the others of its batch to wait.
    private func settleEach(
        _ batch: [PairingStore.Settlement], _ error: any Error, _ audience: some AgentAudience
    ) async {
        guard let only = batch.first, batch.count == 1 else {
            for settlement in batch { await settle([settlement], audience) }
            return
        }
        logger.error(
            "An agent's answer can't be stored",
            metadata: [
                "senderId": "\(only.sender.senderID)", "messageSeq": "\(only.sequence)", "error": "\(error)",
            ])
        if case .answered = only.result {
            var ended = only
            ended.result = .undeliverable(reason: "invalid_answer")
            return await settle([ended], audience)
        }
        apply { $0.settlementsFailed(batch) }
        // The store finds fault with the failure itself, which nobody foresees: not without a pause.
        try? await Task.sleep(for: .seconds(1))
    }

    private func pass(
        _ settlement: PairingStore.Settlement, _ outcome: PairingStore.SettlementOutcome,
        to audience: some AgentAudience
    ) async {
        switch outcome {
        case .stored(let stored):
            metrics.settled(settlement.result, overflowed: stored.overflowed)
            if let epoch = stored.epoch, !stored.messages.isEmpty {
                audience.stored(stored.messages, for: settlement.sender, epoch: epoch)
            }
            if case .undeliverable(let reason) = settlement.result {
                await audience.tell(
                    .failed(messageID: settlement.messageID, reason: reason, isRetrying: false),
                    settlement.sender)
            }
            audience.settled(settlement, stored.messages)
        case .over: audience.look(for: settlement)
        case .lost, .locked: break
        }
    }
}

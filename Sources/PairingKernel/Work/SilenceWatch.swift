import Agents
import ChannelHost
import Logging
import PairingCore
import PairingStore

/// What to do about a device from which nothing came for a while.
struct SilenceRule: Sendable, Equatable {
    /// After which silences the agent is told, ascending; where there is none it never is.
    let periods: [Duration]

    enum Step: Equatable {
        /// Nothing to say; look again after that time.
        case look(after: Duration)
        /// So many periods have passed, which the agent does not know.
        case tell(Int)
        /// A message came since the agent was told of silence.
        case tellReturn
    }

    /// - Parameters:
    ///   - told: how many periods the agent knows to have passed.
    ///   - silence: since the last message.
    func step(told: Int, silence: Duration) -> Step {
        let passed = periods.prefix { $0 <= silence }.count
        if passed > told { return .tell(passed) }
        if passed < told { return .tellReturn }
        // Told of silence, an agent wants to hear soon that it is over.
        let next = passed < periods.count ? periods[passed] - silence : .seconds(86400)
        return .look(after: max(.milliseconds(100), told > 0 ? min(next, recheck) : next))
    }

    /// How often a silent device is looked at.
    private var recheck: Duration {
        min(max((periods.first ?? .seconds(300)) / 10, .milliseconds(500)), .seconds(30))
    }
}

/// Tells agents of devices that fell silent and of those that are back, as their channels declare.
///
/// What an agent knows is in the store, so that it is told once whichever instance tells it, and again where nobody
/// knows whether it heard.
struct SilenceWatch: Sendable {
    private let store: PairingStore
    private let agents: AgentDirectory
    private let rules: [ChannelID: SilenceRule]
    private let logger: Logger

    init(store: PairingStore, agents: AgentDirectory, channels: ChannelHost, logger: Logger) {
        self.store = store
        self.agents = agents
        self.logger = logger
        rules = Dictionary(
            channels.channels.filter { !$0.declarations.silencePeriods.isEmpty }
                .map { ($0.id, SilenceRule(periods: $0.declarations.silencePeriods)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Watches until its task is cancelled; at once where no channel wants it.
    func run() async {
        if rules.isEmpty { return }
        var hasWoken = false
        while !Task.isCancelled {
            do {
                if !hasWoken { try await store.wakeSilent(of: Array(rules.keys)) }
                hasWoken = true
                // Until nothing is due.
                while try await look() { try Task.checkCancellation() }
            } catch {
                logger.debug("Silence is looked at later", metadata: ["error": "\(error)"])
            }
            // That nothing came is no event: only the clock tells of it. Jitter, so that instances which
            // started together do not look together.
            try? await Task.sleep(for: .milliseconds(.random(in: 800...1200)))
        }
    }

    /// - Returns: whether there may be more.
    private func look() async throws -> Bool {
        let limit = 64
        let devices = try await store.takeSilent(of: Array(rules.keys), limit: limit)
        let outcomes = await withTaskGroup { group in
            for device in devices { group.addTask { await look(at: device) } }
            var outcomes: [(PairingStore.PairedSender, Int, Duration)] = []
            for await outcome in group { outcomes.append(outcome) }
            return outcomes
        }
        try await store.settleSilence(of: outcomes)
        return devices.count == limit
    }

    /// - Returns: what its agent knows then, and when to look again.
    private func look(
        at device: PairingStore.SilentDevice
    ) async -> (PairingStore.PairedSender, Int, Duration) {
        guard let declared = rules[device.channel] else {
            return (device.sender, device.told, .seconds(3600))
        }
        let rule = device.periods.map(SilenceRule.init) ?? declared
        switch rule.step(told: device.told, silence: device.silence) {
        case .look(let pause): return (device.sender, device.told, pause)
        case .tell(let passed): return await tell(device, "silent", knows: passed)
        case .tellReturn: return await tell(device, "back", knows: 0)
        }
    }

    private func tell(
        _ device: PairingStore.SilentDevice, _ type: String, knows told: Int
    ) async -> (PairingStore.PairedSender, Int, Duration) {
        let body = JSONValue.object([
            "type": .string(type), "lastAt": .integer(device.lastAt.milliseconds),
            "silentMs": .integer(device.silence.milliseconds),
        ])
        let sender = device.sender
        let what = "\(type)-\(told)/\(device.lastAt.milliseconds)"
        let request = AgentRequest(
            key: "\(sender.senderID.key)/\(sender.generation.number)/\(what)",
            channel: device.channel, senderID: sender.senderID, body: body.text)
        // One that is configured no more leaves it to the channel's.
        let agent =
            device.agent.flatMap { try? agents.agent(named: $0) } ?? agents.defaultAgent(for: device.channel)
        do throws(AgentFailure) {
            // It need not answer, and what it answers is for nobody.
            _ = try await agent.answer(request) { _ in }
        } catch {
            logger.info(
                "An agent could not be told that a device is \(type)",
                metadata: ["agent": "\(agent.name)", "senderId": "\(sender.senderID)", "reason": "\(error)"])
            // One that refuses to hear it has been told.
            if error.isRetryable { return (sender, device.told, error.retryAfter ?? .seconds(15)) }
        }
        return (sender, told, .milliseconds(100))
    }
}

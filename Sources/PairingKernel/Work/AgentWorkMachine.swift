import PairingCore
import PairingStore

/// Which messages from devices this instance works on, and what is to be done next: a pure machine.
///
/// One message of a conversation is with each agent at a time, and a few of a device; answers are stored in the order of the messages' numbers.
/// What it holds is bounded in count and bytes; what finds no room stays in the store and is read once there is some.
struct AgentWorkMachine: Sendable {
    /// How much is held and asked at once.
    struct Limits: Sendable {
        /// Messages in memory.
        var messages = 8192
        /// Their bytes.
        var bytes = 64 << 20
        /// Messages of one device.
        var perDevice = 64
        /// Requests to agents under way.
        var calls = 1024
        /// Of these, to one agent.
        var callsPerAgent = 256
        /// Of these, about one device's messages, however many conversations it has.
        var callsPerDevice = 8
        /// How long an agent may take for one message.
        var time = Duration.seconds(600)
    }

    /// Names one attempt at one message.
    struct AskID: Hashable, Sendable { let number: UInt64 }

    /// A message that an agent is to be asked about.
    struct Ask: Sendable, Equatable {
        let id: AskID
        let sender: PairingStore.PairedSender
        let channel: ChannelID
        let sequence: Int64
        /// The number of the first message, where this is a batch that ends with ``sequence``.
        var first: Int64?
        let messageID: String
        /// Which of the device's conversations it belongs to.
        var conversation = ConversationName.main
        /// Which of the things that the message became.
        let part: Int
        let agent: String
        let body: String
        /// How often the message failed before.
        let attempts: Int
        /// Whether the agent is told, and asked nothing.
        var isNotice = false
    }

    /// What an agent's answer came to.
    enum Answer: Sendable, Equatable {
        /// It answers, or it took the message and answers nothing now.
        case replied(PairingStore.AgentReply?)
        /// It failed; the message is tried again after that time, or never.
        case failed(reason: String, delay: Duration?)
    }

    /// What the shell has to do.
    struct Actions: Sendable {
        var asks: [Ask] = []
        var cancels: [AskID] = []
        /// There is work to claim or to read: ``takeClaims(limit:)``.
        var hasClaims = false
        /// There is something to store: ``takeSettlements()``.
        var hasSettlements = false
        /// There are claims to give back: ``takeReleases()``.
        var hasReleases = false
        /// Time matters: ``timePassed(now:)`` is to be called every now and then.
        var hasTimers = false
    }

    typealias Instant = ContinuousClock.Instant

    let limits: Limits
    private let defaultAgent: @Sendable (ChannelID) -> String
    private let batching: @Sendable (ChannelID) -> Batching?
    /// How long an agent's message is worth delivering, where its channel says so.
    let lifetime: @Sendable (ChannelID) -> Duration?
    var devices: [String: Device] = [:]
    private(set) var heldMessages = 0
    private(set) var heldBytes = 0
    private var calls: [AskID: Call] = [:]
    private var callsByAgent: [String: Int] = [:]
    private var lastAsk: UInt64 = 0
    /// Devices with something that could be asked, but for the bounds.
    var runnable = KeyQueue()
    /// Devices whose work is to be claimed or read.
    var wanted = KeyQueue()
    var wantedSenders: [String: SenderID] = [:]
    /// Devices with something to store.
    var settling = KeyQueue()
    /// Devices whose claims are given back.
    var releasing: [String] = []
    /// Devices that are to be claimed later, or whose settlements are to be tried again, once their time has come.
    var laterClaims: [String: SenderID] = [:]
    var laterSettling: Set<String> = []
    /// When to look at a device again.
    var timers: [String: Instant] = [:]
    var actions = Actions()

    private struct Call {
        let key: String
        let agent: String
        let deadline: Instant
    }

    init(
        limits: Limits = Limits(), batching: @escaping @Sendable (ChannelID) -> Batching? = { _ in nil },
        lifetime: @escaping @Sendable (ChannelID) -> Duration? = { _ in nil },
        defaultAgent: @escaping @Sendable (ChannelID) -> String
    ) {
        self.limits = limits
        self.batching = batching
        self.lifetime = lifetime
        self.defaultAgent = defaultAgent
    }

    /// Requests under way, those included that nobody waits for any more.
    var callCount: Int { calls.count }

    /// Whether there is room for another message.
    func hasRoom(for bytes: Int = 0) -> Bool {
        heldMessages < limits.messages && (heldMessages == 0 || heldBytes + bytes <= limits.bytes)
    }

    // MARK: Work arrives

    /// A message was accepted here, and its device's work claimed with it.
    ///
    /// - Parameter openBefore: how many of the device's messages waited before it.
    mutating func accepted(
        _ work: PairingStore.OpenWork, of sender: PairingStore.PairedSender, on channel: ChannelID,
        openBefore: Int64, now: Instant
    ) {
        let key = sender.senderID.key
        if let device = devices[key], device.sender.generation != sender.generation { drop(key) }
        guard var device = devices[key] else {
            var device = Device(sender: sender, channel: channel, last: work.sequence - 1)
            if openBefore > 0 {
                device.last = 0
                device.hasMore = true
            }
            devices[key] = device
            return openBefore > 0 ? want(sender.senderID) : take(work, key, now)
        }
        if device.isReading {
            device.grewWhileReading = true
            devices[key] = device
        } else if work.sequence == device.last + 1, !device.hasMore || device.isInDoubt {
            device.hasMore = false
            device.isInDoubt = false
            devices[key] = device
            take(work, key, now)
        } else {
            device.hasMore = true
            device.isInDoubt = false
            devices[key] = device
            readOn(key)
        }
    }

    /// A message was accepted here that needs no answer: numbers go on after it.
    mutating func passed(_ sequence: Int64, of senderID: SenderID) {
        guard let device = devices[senderID.key], device.last + 1 == sequence else { return }
        devices[senderID.key]?.last = sequence
    }

    /// There may be work for this device that nobody here knows of.
    mutating func want(_ senderID: SenderID) {
        let key = senderID.key
        wantedSenders[key] = senderID
        if devices[key] != nil { devices[key]?.hasMore = true }
        if wanted.append(key) { actions.hasClaims = true }
    }

    /// - Returns: whether the machine holds this message.
    func holds(_ sequence: Int64, of senderID: SenderID) -> Bool {
        devices[senderID.key]?.items.contains { $0.work.sequence == sequence } ?? false
    }

    private mutating func take(_ work: PairingStore.OpenWork, _ key: String, _ now: Instant) {
        guard let held = devices[key]?.items.count else { return }
        guard held < limits.perDevice, hasRoom(for: work.bytes) else {
            devices[key]?.hasMore = true
            return readOn(key)
        }
        add(work, key, now)
        start(key, now)
    }

    mutating func add(_ work: PairingStore.OpenWork, _ key: String, _ now: Instant) {
        guard let channel = devices[key]?.channel else { return }
        let agents = work.parts.map { $0.agent.isEmpty ? defaultAgent(channel) : $0.agent }
        var item = Item(work: work, agents: agents, since: now)
        if work.delay > .zero {
            item.phase = .delayed(until: now + work.delay)
            remind(key, at: now + work.delay)
        }
        devices[key]?.items.append(item)
        devices[key]?.last = work.sequence
        heldMessages += 1
        heldBytes += work.bytes
    }

    // MARK: Agents

    /// Asks agents about what may be asked of this device now.
    mutating func start(_ key: String, _ now: Instant) {
        // Taken out and put back, so that nothing is copied.
        guard var device = devices.removeValue(forKey: key) else { return }
        defer { devices[key] = device }
        if device.isReleasing { return }
        if let rule = batching(device.channel) { return startBatch(of: &device, key, rule, now) }
        var blocked: Set<Item.Turn> = []
        var left = limits.callsPerDevice - device.items.count { $0.isAsked }
        for index in device.items.indices {
            switch device.items[index].phase {
            case .ready, .storing: continue
            case .asked: break
            case .delayed(let until) where until > now: break
            case .waiting, .delayed:
                guard left > 0 else { break }
                if blocked.isDisjoint(with: device.items[index].turns) {
                    if ask([index], of: &device, key, now) { left -= 1 } else { runnable.append(key) }
                }
            }
            blocked.formUnion(device.items[index].turns)
        }
    }

    /// - Returns: whether there was room for another request.
    mutating func ask(
        _ indices: [Int], asBatch: Bool = false, of device: inout Device, _ key: String, _ now: Instant
    ) -> Bool {
        guard let last = indices.last else { return true }
        let part = device.items[last].part
        let agent = device.items[last].agents[part]
        guard calls.count < limits.calls, callsByAgent[agent, default: 0] < limits.callsPerAgent else {
            return false
        }
        lastAsk += 1
        let id = AskID(number: lastAsk)
        calls[id] = Call(key: key, agent: agent, deadline: now + limits.time)
        callsByAgent[agent, default: 0] += 1
        for index in indices { device.items[index].phase = .asked(id) }
        let parts = indices.map { device.items[$0].work.parts[device.items[$0].part] }
        let bodies = parts.map(\.body)
        let work = device.items[last].work
        actions.asks.append(
            Ask(
                id: id, sender: device.sender, channel: device.channel, sequence: work.sequence,
                first: asBatch ? device.items[indices[0]].work.sequence : nil,
                messageID: work.messageID, conversation: work.conversation, part: part, agent: agent,
                body: asBatch ? "[\(bodies.joined(separator: ","))]" : bodies[0], attempts: work.attempts,
                isNotice: parts.allSatisfy(\.isNotice)))
        return true
    }

    /// An agent's request has ended.
    ///
    /// - Returns: whether anybody still waited for it.
    @discardableResult
    mutating func answered(_ id: AskID, _ answer: Answer, now: Instant) -> Bool {
        guard let call = calls.removeValue(forKey: id) else { return false }
        let left = callsByAgent[call.agent, default: 1] - 1
        callsByAgent[call.agent] = left > 0 ? left : nil
        let isAwaited = conclude(id, of: call.key, answer, now)
        // As many as there were: each may find its agent's room taken again.
        for _ in 0..<runnable.count {
            guard calls.count < limits.calls, let key = runnable.popFirst() else { break }
            start(key, now)
        }
        return isAwaited
    }

    private mutating func conclude(_ id: AskID, of key: String, _ answer: Answer, _ now: Instant) -> Bool {
        guard let first = devices[key]?.items.firstIndex(where: { $0.isAsked(id) }),
            let last = devices[key]?.items.lastIndex(where: { $0.isAsked(id) })
        else { return false }
        if case .failed(_, let delay?) = answer { remind(key, at: now + delay) }
        // One, or the messages of a batch.
        var isToBeStored = false
        for index in first...last where devices[key]?.items[index].isAsked(id) == true {
            devices[key]?.items[index].conclude(
                index == last ? answer : answer.ofEarlier, isOfBatch: first < last, now)
            if devices[key]?.items[index].isToBeStored == true { isToBeStored = true }
        }
        if isToBeStored, settling.append(key) { actions.hasSettlements = true }
        start(key, now)
        giveBackIfIdle(key)
        return true
    }

    /// Time passed: what was delayed is due, and what takes too long is given up.
    mutating func timePassed(now: Instant) {
        for (key, due) in timers where due <= now {
            timers[key] = nil
            if devices[key]?.isInDoubt == true {
                devices[key]?.isInDoubt = false
                readOn(key)
            }
            if let senderID = laterClaims.removeValue(forKey: key) { want(senderID) }
            if laterSettling.remove(key) != nil, settling.append(key) { actions.hasSettlements = true }
            if let next = devices[key]?.nextDelay(after: now) { remind(key, at: next) }
            start(key, now)
        }
        for (id, call) in calls where call.deadline <= now {
            // The request stays one under way until it really ends.
            guard conclude(id, of: call.key, .failed(reason: "timed_out", delay: .seconds(5)), now) else {
                continue
            }
            actions.cancels.append(id)
        }
        actions.hasTimers = !timers.isEmpty
    }

    /// Whether anybody waits for this attempt.
    func awaits(_ id: AskID) -> Bool {
        guard let call = calls[id] else { return false }
        return devices[call.key]?.items.contains { $0.isAsked(id) } ?? false
    }

    mutating func remind(_ key: String, at time: Instant) {
        timers[key] = min(timers[key] ?? time, time)
        actions.hasTimers = true
    }

    // MARK: Work ends

    /// The device gave a message up: nobody need answer it any more.
    mutating func abort(_ sequence: Int64, of key: String, now: Instant) {
        guard let index = devices[key]?.items.firstIndex(where: { $0.work.sequence == sequence }) else {
            return
        }
        if case .asked(let id)? = devices[key]?.items[index].phase { actions.cancels.append(id) }
        remove(index, of: key)
        advance(key, now)
    }

    /// The pairing has ended.
    mutating func revoke(_ senderID: SenderID, below generation: Generation) {
        guard let device = devices[senderID.key], device.sender.generation < generation else { return }
        drop(senderID.key)
    }

    /// Nothing more is begun and what is under way is given up: the process stops.
    ///
    /// - Returns: the devices whose claims are to be given back.
    mutating func stop() -> [String] {
        let keys = Array(devices.keys)
        for key in keys { drop(key) }
        return keys
    }

    mutating func remove(_ index: Int, of key: String) {
        guard let item = devices[key]?.items.remove(at: index) else { return }
        heldMessages -= 1
        heldBytes -= item.work.bytes
    }

    mutating func drop(_ key: String) {
        guard let device = devices.removeValue(forKey: key) else { return }
        for item in device.items {
            if case .asked(let id) = item.phase { actions.cancels.append(id) }
            heldMessages -= 1
            heldBytes -= item.work.bytes
        }
        timers[key] = nil
        laterSettling.remove(key)
        wanted.remove(key)
        settling.remove(key)
        runnable.remove(key)
        wantRest()
    }

    /// A message of the device has ended: what follows begins, or there is nothing more to do for it here.
    mutating func advance(_ key: String, _ now: Instant) {
        guard let device = devices[key] else { return }
        if device.hasMore, !device.isInDoubt, device.items.count < limits.perDevice / 4 { readOn(key) }
        start(key, now)
        giveBackIfIdle(key)
        if let device = devices[key], device.items.isEmpty, !device.hasMore, !device.isReading { drop(key) }
        wantRest()
    }

    /// Reads more of a device's work, once few of its messages are held and there is room.
    mutating func readOn(_ key: String) {
        guard let device = devices[key], device.hasMore, !device.isReading, !device.isReleasing,
            device.items.count < limits.perDevice / 4
        else { return }
        wantedSenders[key] = device.sender.senderID
        if wanted.append(key) { actions.hasClaims = true }
    }

    /// There may be room again for what waits to be read.
    private mutating func wantRest() { if !wanted.isEmpty, hasRoom() { actions.hasClaims = true } }
}

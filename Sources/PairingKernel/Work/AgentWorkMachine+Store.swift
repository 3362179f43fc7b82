import PairingCore
import PairingStore

/// What the machine asks of the store, and what it makes of the answers.
extension AgentWorkMachine {
    /// What is to be done since this was last asked.
    mutating func takeActions() -> Actions {
        defer { actions = Actions() }
        return actions
    }

    // MARK: Claims

    /// Devices to claim, or to read more of, each with the number after which to read.
    mutating func takeClaims(limit: Int) -> [(senderID: SenderID, after: Int64)] {
        var claims: [(senderID: SenderID, after: Int64)] = []
        while claims.count < limit, hasRoom(), let key = wanted.popFirst() {
            guard let senderID = wantedSenders.removeValue(forKey: key) else { continue }
            devices[key]?.isReading = true
            devices[key]?.grewWhileReading = false
            claims.append((senderID, devices[key]?.last ?? 0))
        }
        return claims
    }

    /// The store could not be asked, or somebody has locked the device: later.
    mutating func claimFailed(_ senderID: SenderID, now: Instant) {
        let key = senderID.key
        devices[key]?.isReading = false
        laterClaims[key] = senderID
        remind(key, at: now + .milliseconds(200))
    }

    /// What came of a claim.
    mutating func claimed(_ senderID: SenderID, _ outcome: PairingStore.ClaimOutcome, now: Instant) {
        let key = senderID.key
        switch outcome {
        case .claimed(let work): adopt(work, now: now)
        case .locked: claimFailed(senderID, now: now)
        case .taken: drop(key)
        case .nothing:
            guard var device = devices[key] else { return }
            device.isReading = false
            device.hasMore = device.grewWhileReading
            devices[key] = device
            advance(key, now)
        }
    }

    /// The work of a device is this instance's, and this is some of it.
    mutating func adopt(_ work: PairingStore.ClaimedWork, now: Instant) {
        let key = work.sender.senderID.key
        if let device = devices[key], device.sender.generation != work.sender.generation { drop(key) }
        var device = devices[key] ?? Device(sender: work.sender, channel: work.channel, last: 0)
        let last = device.last
        device.isReading = false
        device.isReleasing = false
        device.isInDoubt = false
        device.hasMore = !work.isWhole || device.grewWhileReading
        devices[key] = device
        for message in work.messages where message.sequence > last { add(message, key, now) }
        if work.isWhole, !device.hasMore { devices[key]?.last = max(last, work.newest) }
        advance(key, now)
    }

    /// The devices whose claims are to be renewed.
    var claimedKeys: [String] { Array(devices.keys) }

    // MARK: Settlements

    /// What is to be stored next, the messages of a device in their order.
    mutating func takeSettlements(limit: Int = 256, bytes: Int = 1 << 20) -> [PairingStore.Settlement] {
        var batch: [PairingStore.Settlement] = []
        var room = bytes
        while batch.count < limit, room > 0, let key = settling.popFirst() {
            // Taken out and put back, so that nothing is copied.
            guard var device = devices.removeValue(forKey: key) else { continue }
            for index in device.items.indices {
                guard batch.count < limit, room > 0 else {
                    settling.append(key)
                    break
                }
                guard let result = device.items[index].takeResult() else { continue }
                batch.append(
                    PairingStore.Settlement(
                        sender: device.sender, sequence: device.items[index].work.sequence,
                        messageID: device.items[index].work.messageID, result: result,
                        lifetime: lifetime(device.channel),
                        conversation: device.items[index].work.conversation))
                if case .answered(let replies) = result {
                    room -= replies.reduce(0) { $0 + $1.body.utf8.count }
                }
            }
            devices[key] = device
        }
        if !settling.isEmpty { actions.hasSettlements = true }
        return batch
    }

    /// The store could not be asked, and nobody knows whether it did what it was asked: it is asked again, and says
    /// what it did.
    mutating func settlementsFailed(_ batch: [PairingStore.Settlement]) {
        for settlement in batch { putBack(settlement) }
    }

    /// What came of a batch. Devices that somebody has locked are tried again soon.
    mutating func settled(
        _ batch: [PairingStore.Settlement], _ outcomes: [PairingStore.SettlementOutcome], now: Instant
    ) {
        for (settlement, outcome) in zip(batch, outcomes) {
            let key = settlement.sender.senderID.key
            guard devices[key]?.sender == settlement.sender else { continue }
            switch outcome {
            case .locked:
                putBack(settlement, isTriedAtOnce: false)
                laterSettling.insert(key)
                remind(key, at: now + .milliseconds(50))
            case .lost: drop(key)
            case .over: finish(settlement, now: now)
            case .stored(let stored):
                devices[key]?.isReleasing = stored.isElsewhere && stored.open > 0
                if case .failed = settlement.result {
                    giveBackIfIdle(key)
                } else {
                    finish(settlement, open: stored.open, now: now)
                }
            }
        }
    }

    private mutating func finish(
        _ settlement: PairingStore.Settlement, open: Int64 = 0, now: Instant
    ) {
        let key = settlement.sender.senderID.key
        guard
            let index = devices[key]?.items.firstIndex(where: { $0.work.sequence == settlement.sequence })
        else { return }
        if case .asked(let id)? = devices[key]?.items[index].phase { actions.cancels.append(id) }
        remove(index, of: key)
        if open > 0, let device = devices[key], device.items.isEmpty, !device.hasMore, !device.isReading {
            // Others may have accepted some; or some were accepted here of which this machine has yet to hear.
            devices[key]?.hasMore = true
            devices[key]?.isInDoubt = true
            remind(key, at: now + .milliseconds(100))
        }
        advance(key, now)
    }

    private mutating func putBack(_ settlement: PairingStore.Settlement, isTriedAtOnce: Bool = true) {
        let key = settlement.sender.senderID.key
        guard devices[key]?.sender == settlement.sender,
            let index = devices[key]?.items.firstIndex(where: { $0.work.sequence == settlement.sequence })
        else { return }
        devices[key]?.items[index].putBack(settlement.result)
        if isTriedAtOnce { settling.append(key) }
    }

    // MARK: Releases

    /// Others work on these devices' messages now, or nobody may.
    mutating func lose(_ keys: some Sequence<String>) { for key in keys { drop(key) } }

    /// The device's session is on another instance: once nothing is under way, that one goes on.
    mutating func giveBackIfIdle(_ key: String) {
        guard let device = devices[key], device.isReleasing, !device.isReading,
            device.items.allSatisfy({ !$0.isUnderWay })
        else { return }
        releasing.append(key)
        drop(key)
        actions.hasReleases = true
    }

    /// Claims to give back.
    mutating func takeReleases() -> [String] {
        defer { releasing = [] }
        return releasing
    }
}

extension AgentWorkMachine {
    /// The work on one device's messages.
    struct Device: Sendable {
        let sender: PairingStore.PairedSender
        let channel: ChannelID
        /// The number up to which every message that waits is among ``items``, unless there are more.
        var last: Int64
        /// In the order of their numbers.
        var items: [Item] = []
        /// Whether the store has further ones.
        var hasMore = false
        /// Whether that is only suspected.
        var isInDoubt = false
        /// Whether the store is being asked for them.
        var isReading = false
        var grewWhileReading = false
        /// Whether the claim is given back as soon as nothing is under way.
        var isReleasing = false

        func nextDelay(after now: Instant) -> Instant? {
            items.compactMap { item in
                if case .delayed(let until) = item.phase, until > now { until } else { nil }
            }.min()
        }
    }

    /// The work on one message.
    struct Item: Sendable {
        enum Phase: Sendable, Equatable {
            case waiting
            case delayed(until: Instant)
            case asked(AskID)
            /// It is decided what becomes of it.
            case ready(PairingStore.Settlement.Result)
            /// That is being stored.
            case storing
        }

        var work: PairingStore.OpenWork
        /// Who is asked about each part.
        let agents: [String]
        var phase = Phase.waiting
        /// The part that is asked about now, or next.
        var part = 0
        /// The answers to the parts before.
        var replies: [PairingStore.AgentReply] = []
        /// Whether the store knows of its failures.
        var isRecorded = true
        /// Since when it is held.
        let since: Instant
        /// Whether it is asked about by itself, since a batch with it was refused.
        var isAlone = false

        init(work: PairingStore.OpenWork, agents: [String], since: Instant) {
            self.work = work
            self.agents = agents
            self.since = since
        }

        /// Whose turn it is in which conversation.
        struct Turn: Sendable, Hashable {
            let agent: String
            let conversation: ConversationName
        }

        /// Those that wait for this message.
        var turns: [Turn] { agents.map { Turn(agent: $0, conversation: work.conversation) } }

        /// Whether an agent is being asked.
        var isAsked: Bool {
            if case .asked = phase { true } else { false }
        }

        /// Whether it is this attempt that its agent is asked by.
        func isAsked(_ id: AskID) -> Bool {
            if case .asked(let asked) = phase { asked == id } else { false }
        }

        /// Whether an agent or the store is being asked.
        var isUnderWay: Bool {
            switch phase {
            case .asked, .ready, .storing: true
            case .waiting, .delayed: !isRecorded
            }
        }

        /// What came of asking about ``part``.
        mutating func conclude(_ answer: Answer, isOfBatch: Bool, _ now: Instant) {
            switch answer {
            case .replied(let reply):
                if let reply { replies.append(reply) }
                part += 1
                phase = part < agents.count ? .waiting : .ready(.answered(replies))
            case .failed(_, nil) where isOfBatch:
                // One of them may be to blame for all.
                isAlone = true
                phase = .waiting
            case .failed(let reason, nil):
                work.attempts += 1
                phase = .ready(.undeliverable(reason: reason))
            case .failed(_, let delay?):
                work.attempts += 1
                phase = .delayed(until: now + delay)
                isRecorded = false
            }
        }

        var isToBeStored: Bool {
            switch phase {
            case .ready: true
            case .delayed(_): !isRecorded
            case .waiting, .asked, .storing: false
            }
        }

        /// What is to be stored of it, which is under way from now on.
        mutating func takeResult() -> PairingStore.Settlement.Result? {
            switch phase {
            case .ready(let result):
                phase = .storing
                return result
            case .delayed(let until) where !isRecorded:
                isRecorded = true
                let delay = max(.zero, until - .now)
                return .failed(attempts: work.attempts, delay: delay)
            case .delayed, .waiting, .asked, .storing: return nil
            }
        }

        mutating func putBack(_ result: PairingStore.Settlement.Result) {
            if case .failed = result {
                isRecorded = false
            } else if phase == .storing {
                phase = .ready(result)
            }
        }
    }
}

/// Keys in the order of their arrival, each once.
struct KeyQueue: Sendable {
    private var keys: [String] = []
    private var head = 0
    private var members: Set<String> = []

    var isEmpty: Bool { members.isEmpty }
    var count: Int { members.count }

    /// - Returns: whether it was not there already.
    @discardableResult
    mutating func append(_ key: String) -> Bool {
        guard members.insert(key).inserted else { return false }
        keys.append(key)
        return true
    }

    mutating func popFirst() -> String? {
        while head < keys.count {
            let key = keys[head]
            head += 1
            if head > 1024, head * 2 > keys.count {
                keys.removeFirst(head)
                head = 0
            }
            if members.remove(key) != nil { return key }
        }
        keys = []
        head = 0
        return nil
    }

    mutating func remove(_ key: String) { members.remove(key) }
}

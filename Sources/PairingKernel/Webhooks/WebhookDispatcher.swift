import Agents
import ChannelHost
import Logging
import Metrics
import PairingCore
import PairingStore
import ServiceLifecycle
import Synchronization

/// Delivers web hooks: what happened, from the event feed, and that messages wait for devices that are away. One in each
/// gateway; a hook is delivered to by one of them at a time, which has claimed it for a while.
///
/// How far a hook was told is in the store, so that a restart, whoever takes over and an outage of the receiver lose
/// nothing; what was delivered just before one of these may come again, with the same identifier.
public final class WebhookDispatcher: Service {
    /// Hooks that are delivered to at the same time.
    private static let width = 8
    /// How much of the feed is looked at in one round.
    private static let roundEvents = 256
    /// How many waiting devices are looked at in one round.
    private static let roundDevices = 64

    private struct State {
        var running = 0
        var hasKeptNames = false
        /// Whether a look at the store found hooks to deliver to.
        var isAnyEnabled = true
        /// What was delivered beyond each hook's cursor: lost with this process, and then delivered again.
        var ahead: [String: Set<Int64>] = [:]
    }

    private let instanceID: InstanceID
    private let store: PairingStore
    private let settings: PairingSettings
    private let sender: WebhookSender
    private let pushHooks: [ChannelID: String]
    private let patience: WebhookPatience
    private let clock: WallClock
    private let logger: Logger
    private let metrics = WebhookMetrics()
    private let state = Mutex(State())
    private let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameters:
    ///   - instanceID: as whom this gateway claims.
    package init(kernel: Kernel, instanceID: InstanceID, logger: Logger) {
        self.instanceID = instanceID
        store = kernel.store
        settings = kernel.settings
        sender = kernel.webhooks.sender
        pushHooks = Dictionary(
            kernel.channels.channels.compactMap { channel in
                channel.declarations.pushHook.map { (channel.id, $0) }
            }, uniquingKeysWith: { first, _ in first })
        patience = WebhookPatience(disableAfter: kernel.settings.webhooks.disableAfter)
        clock = kernel.clock
        self.logger = logger
    }

    /// For how long a hook is claimed: longer than a round takes, which begins nothing after the time of one delivery.
    private var lease: Duration { sender.timeout * 3 + .seconds(2) }

    /// Something happened. Called for everything that does, and from any thread.
    public func wake() {
        if state.withLock({ $0.isAnyEnabled }) { wakes.continuation.yield() }
    }

    /// Delivers until graceful shutdown; never throws because the database or a receiver is away.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Only the clock tells when a hook is to be tried again, or when another instance's claim is over.
                    while !Task.isCancelled {
                        self.wakes.continuation.yield()
                        try? await Task.sleep(for: .milliseconds(.random(in: 800...1200)))
                    }
                    self.wakes.continuation.finish()
                }
                group.addTask { await self.deliver() }
                await group.waitForAll()
            }
        }
    }

    private func deliver() async {
        await withDiscardingTaskGroup { group in
            for await _ in wakes.stream {
                let room = state.withLock { Self.width - $0.running }
                guard room > 0, let hooks = await claim(room) else { continue }
                for hook in hooks { group.addTask { await self.round(hook) } }
            }
            group.cancelAll()
        }
    }

    private func claim(_ limit: Int) async -> [PairingStore.WebhookRow]? {
        do {
            if state.withLock({ !$0.hasKeptNames }) {
                try await store.keepPushHooks(pushHooks)
                state.withLock { $0.hasKeptNames = true }
            }
            let found = try await store.claimWebhooks(by: instanceID, lease: lease, limit: limit)
            state.withLock {
                $0.running += found.hooks.count
                $0.isAnyEnabled = found.isAnyEnabled
            }
            return found.hooks
        } catch {
            if StoreFailure(error) != .cancelled {
                logger.debug("Web hooks wait for the database", metadata: ["error": "\(error)"])
            }
            return nil
        }
    }

    // MARK: A round

    /// What a round has come to.
    private struct Progress {
        var cursor: Int64
        var hasDelivered = false
        var failure: (message: String, isFinal: Bool, retryAfter: Duration?)?
    }

    private func round(_ hook: PairingStore.WebhookRow) async {
        let progress = await work(on: hook)
        let end = PairingStore.WebhookRoundEnd(
            cursor: progress.cursor, hasDelivered: progress.hasDelivered,
            failure: progress.failure.map { failure in
                let hasAdvanced = progress.cursor > hook.cursor && progress.hasDelivered
                let pause =
                    failure.isFinal
                    ? nil
                    : patience.pause(
                        afterAttempts: hasAdvanced ? 0 : hook.attempts,
                        failing: hasAdvanced ? nil : hook.failingSince.map { hook.now - $0 },
                        retryAfter: failure.retryAfter)
                return PairingStore.WebhookRoundEnd.Failure(
                    message: failure.message, hasAdvanced: hasAdvanced, pause: pause)
            })
        await settle(hook, end)
        state.withLock { $0.running -= 1 }
        wakes.continuation.yield()
    }

    private func settle(_ hook: PairingStore.WebhookRow, _ end: PairingStore.WebhookRoundEnd) async {
        let isDead = end.failure.map { $0.pause == nil } ?? false
        if let failure = end.failure {
            logger.log(
                level: isDead ? .warning : .info,
                isDead ? "A web hook is told nothing any more" : "A web hook was not taken",
                metadata: ["webhookId": "\(hook.id)", "reason": "\(failure.message)"])
        }
        do {
            try await store.settleWebhook(
                hook.id, by: instanceID, end,
                details: Webhooks.details(hook.id, url: hook.url, hook.subject, reason: end.failure?.message))
            if isDead { metrics.disabled.increment() }
        } catch {
            // The claim ends by itself, and what was delivered comes again.
            logger.info("What a web hook was told is not stored", metadata: ["error": "\(error)"])
        }
    }

    private func work(on hook: PairingStore.WebhookRow) async -> Progress {
        var progress = Progress(cursor: hook.cursor)
        do {
            let secrets = try secrets(of: hook)
            let feed = try await store.webhookEvents(after: hook.cursor, limit: Self.roundEvents)
            let head = ChainHead(position: feed.headPosition, hash: feed.head)
            let wanted = feed.events.filter { hook.wants($0.event) }
            var devices: [PairingStore.WaitingDevice] = []
            if case .waiting(let name) = hook.subject {
                devices = try await waitingDevices(name)
            }
            let end = feed.events.last?.event.position ?? hook.cursor
            if wanted.isEmpty, devices.isEmpty {
                progress.cursor = end
                return progress
            }
            let route = try await sender.route(to: try WebhookAddress(hook.url))
            let deadline = ContinuousClock.now + sender.timeout
            var round = WebhookRound(
                after: hook.cursor, through: end,
                wanted.map { WebhookRound.Item(number: $0.event.position, lane: $0.event.lane) },
                ahead: state.withLock { $0.ahead[hook.id] ?? [] })
            let events = Dictionary(
                wanted.map { ($0.event.position, $0) }, uniquingKeysWith: { first, _ in first })
            await carryOut(&round, until: deadline, &progress, on: route) { number in
                events[number].map {
                    WebhookSender.Delivery(
                        id: WebhookBodies.identifier(of: $0.event, hash: $0.hash),
                        body: WebhookBodies.event($0.event, head: head), secrets: secrets)
                }
            }
            progress.cursor = round.cursor
            state.withLock { $0.ahead[hook.id] = round.done.isEmpty ? nil : round.done }
            if !devices.isEmpty {
                await tell(of: devices, until: deadline, &progress, on: route, secrets, head)
            }
            await route.close()
        } catch let failure as AgentFailure {
            progress.failure = (failure.message, false, failure.retryAfter)
            metrics.failed.increment()
        } catch let problem as WebhookAddress.Problem {
            progress.failure = (problem.description, false, nil)
        } catch {
            // The store is away, or stopping: nobody's failure.
            logger.debug("A web hook waits", metadata: ["webhookId": "\(hook.id)", "error": "\(error)"])
        }
        return progress
    }

    /// Makes the round's deliveries, as many beside each other as it allows.
    private func carryOut(
        _ round: inout WebhookRound, until deadline: ContinuousClock.Instant, _ progress: inout Progress,
        on route: WebhookRoute,
        _ delivery: @Sendable @escaping (Int64) -> WebhookSender.Delivery?
    ) async {
        await withTaskGroup(of: (Int64, WebhookSender.Outcome).self) { group in
            while !round.isOver {
                if Task.isCancelled || ContinuousClock.now >= deadline || progress.failure != nil {
                    round.stop()
                }
                for item in round.begin() {
                    group.addTask {
                        guard let delivery = delivery(item.number) else { return (item.number, .delivered) }
                        return (item.number, await route.send(delivery))
                    }
                }
                guard let (number, outcome) = await group.next() else { break }
                switch outcome {
                case .delivered:
                    round.delivered(number)
                    progress.hasDelivered = true
                    metrics.delivered.increment()
                case .gone:
                    round.failed(number)
                    progress.failure = (
                        "It answers with status 410: it wants nothing any more.", true, nil
                    )
                    metrics.failed.increment()
                case .failed(let message, let retryAfter):
                    round.failed(number)
                    // What was given up because this process stops failed nowhere.
                    if !Task.isCancelled, progress.failure == nil {
                        progress.failure = (message, false, retryAfter)
                        metrics.failed.increment()
                    }
                }
            }
        }
    }

    // MARK: Devices that are away

    private func waitingDevices(_ name: String) async throws -> [PairingStore.WaitingDevice] {
        let taken = try await store.takeWaitingDevices(for: name, lease: lease, limit: Self.roundDevices)
        var (settled, away): ([(PairingStore.WaitingDevice, PairingStore.WaitingStep)], _) = (
            [], [PairingStore.WaitingDevice]()
        )
        for device in taken {
            if let step = device.stepWithoutTelling {
                settled.append((device, step))
            } else {
                away.append(device)
            }
        }
        try await store.settleWaitingDevices(settled)
        return away
    }

    private func tell(
        of devices: [PairingStore.WaitingDevice], until deadline: ContinuousClock.Instant,
        _ progress: inout Progress, on route: WebhookRoute, _ secrets: [[UInt8]], _ head: ChainHead
    ) async {
        var round = WebhookRound(
            after: -1, through: Int64(devices.count),
            devices.indices.map {
                WebhookRound.Item(number: Int64($0), lane: devices[$0].sender.senderID.key)
            })
        let now = clock()
        await carryOut(&round, until: deadline, &progress, on: route) { number in
            let device = devices[Int(number)]
            return WebhookSender.Delivery(
                id: WebhookBodies.identifier(of: device),
                body: WebhookBodies.waiting(device, at: now, head: head), secrets: secrets)
        }
        do {
            try await store.settleWaitingDevices(
                devices.indices.map {
                    let isTold = round.ahead.contains(Int64($0))
                    // Taken again at once: when the hook itself is to be tried again is known there.
                    return (devices[$0], isTold ? .told(devices[$0].newest) : .look(.zero))
                })
        } catch {
            logger.info("Of whose waiting was told is not stored", metadata: ["error": "\(error)"])
        }
    }

    private func secrets(of hook: PairingStore.WebhookRow) throws -> [[UInt8]] {
        guard let keys = settings.accountKey.map(WebhookKeys.init) else {
            throw AgentFailure(
                .refused, "The key that secrets are kept under is missing: see session.key_file.")
        }
        let opened = try [hook.secret, hook.oldSecret].compactMap { sealed in
            try sealed.flatMap { try keys.open($0, of: hook.id) }
        }
        if opened.isEmpty {
            throw AgentFailure(
                .refused,
                "Its secret was kept under another key than that in session.key_file. Rotate the secret.")
        }
        return opened
    }
}

extension PairingStore.WebhookRow {
    /// Whether the hook is told the event: what it asks for, and tests of itself.
    func wants(_ event: PairingStore.Event) -> Bool {
        if event.event == EventName.webhookTested.rawValue,
            (try? JSONValue(parsing: event.details.utf8))?["webhookId"]?.string == id
        {
            return true
        }
        guard case .events(let filter) = subject else { return false }
        return filter.admits(event.event)
    }
}

extension PairingStore.Event {
    /// What deliveries are kept in order for: the device, or everything that is about none.
    fileprivate var lane: String { senderID.flatMap { SenderID($0)?.key } ?? "" }
}

extension PairingStore.WaitingDevice {
    /// How often a connected device that acknowledges nothing is looked at.
    private static let recheck = Duration.seconds(15)

    /// What comes next where nobody need be told; `nil` where somebody has to be.
    var stepWithoutTelling: PairingStore.WaitingStep? {
        if newest <= acknowledged { return .forget }
        if newest <= told { return .told(told) }
        return isConnected ? .look(Self.recheck) : nil
    }
}

/// What is counted of web hooks.
struct WebhookMetrics: Sendable {
    let delivered = Counter(label: "webhook_deliveries", dimensions: [("outcome", "delivered")])
    let failed = Counter(label: "webhook_deliveries", dimensions: [("outcome", "failed")])
    let disabled = Counter(label: "webhooks_disabled")
}

import Agents
import ChannelHost
import Logging
import Metrics
import PairingCore
import PairingStore
import ServiceLifecycle
import Synchronization

/// The live sockets of one gateway: what the device methods of the protocol lead to.
///
/// It knows which socket is which device's session, acts on the event feed, and reconciles with the
/// database, so that no socket outlives its authority (I3). One per gateway process; ``run()`` has to run
/// for as long as sockets are served.
public final class DeviceSessions: Service, Sendable {
    typealias Live = (id: SocketID, socket: any DeviceSocket, grant: SessionGrant)

    struct State {
        var table = SessionTable<any DeviceSocket>()
        /// Of every socket that is a session.
        var work: [SocketID: SessionWork] = [:]
        var lease: AuthorityLease
        /// Sessions that ended here before any message of theirs was back from its channel, though one may have ended
        /// the process before.
        var unproven: Set<PairingStore.LiveSession> = []
        /// Requests that were decided, whose sockets have not been told yet.
        var decided: [RequestID: SenderID] = [:]
    }

    /// What a live session has to do.
    struct SessionWork {
        let channel: ChannelSession
        /// What the channel says to the device when the session begins; said once.
        var greeting: [ChannelFrame]
        /// Which messages the device is handed, and up to where it was.
        var delivery = SessionDelivery()
        /// Up to where the store is known to have its acknowledgements.
        var acknowledged: Int64 = 0
        var suspects = SuspectMessages()
        /// The session, where one before it ended without a word and no message of this one is back yet.
        var unproven: PairingStore.LiveSession?
    }

    /// The greatest size of a device's message as compact JSON, in bytes: what a channel makes of it, and a frame
    /// beside it, has to fit into what the channel may answer.
    public static let maximumBodyBytes = 512 << 10

    /// This gateway, new with each start.
    public let instanceID: InstanceID
    let name: String
    let store: PairingStore
    let pairing: DevicePairing
    let accounts: Accounts
    let settings: PairingSettings
    let hints: StoreHints
    let channels: ChannelHost
    let agents: AgentDirectory
    let dispatcher: AgentDispatcher
    let desk: MessageDesk
    let clock: WallClock
    let logger: Logger
    let state: Mutex<State>
    /// Slows devices whose sessions replace each other.
    let contention = Mutex(ContentionPace())
    /// Told what the feed brings, in order, by whoever follows it.
    let feedReader = Mutex<(@Sendable ([PairingStore.Event]) -> Void)?>(nil)
    /// Told that the feed brought something.
    let feedListener = Mutex<(@Sendable () -> Void)?>(nil)
    /// Wakes the follower of the event feed; wakes that come together are one.
    let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Wakes whoever passes decisions on.
    let decisions = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Who waits for commands to end.
    let commandWaits = CommandWaits()
    /// Who waits for answers without a session.
    let questions = Mutex(QuestionTable<AnswerReader>())
    /// Wakes whoever looks for answers that were made elsewhere; wakes that come together are one.
    let wantsAnswers = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let bearers: TokenBearers
    /// When devices without a session were last written to have been there.
    let seen = Mutex<[String: ContinuousClock.Instant]>([:])
    /// Sessions that have something to deliver.
    let deliveries = AsyncStream.makeStream(of: Live.self)
    private let arrivals: Batcher<PairingStore.Arrival, PairingStore.SessionRow?>
    let lanes: [ChannelID: MessageLane]
    let acknowledgements: Batcher<PairingStore.Acknowledgement, Void>
    let silences: Batcher<SilencePeriods, Void>
    let suspectCalls: SuspectCalls

    /// - Parameters:
    ///   - instanceID: a new UUID.
    ///   - name: what operators call this gateway.
    ///   - hints: runs as a service of its own, and is read by nobody else.
    ///   - agents: who answers devices' messages.
    package init(
        kernel: Kernel, instanceID: InstanceID, name: String, hints: StoreHints, agents: AgentDirectory,
        logger: Logger
    ) {
        self.instanceID = instanceID
        self.name = name
        self.hints = hints
        self.logger = logger
        channels = kernel.channels
        clock = kernel.clock
        let store = kernel.store
        self.store = store
        pairing = kernel.pairing
        bearers = TokenBearers(store: store, pairing: kernel.pairing)
        accounts = kernel.accounts
        settings = kernel.settings
        state = Mutex(
            State(
                lease: AuthorityLease(
                    duration: kernel.settings.authorityLease, grace: kernel.settings.authorityGrace)))
        arrivals = Batcher(
            concurrency: 2, key: { $0.senderID.key }, locks: .ofDevices(\.senderID, in: store)
        ) {
            try await store.beginSessions($0, on: instanceID)
        }
        let lifetimes = Self.lifetimes(of: kernel.channels)
        let dispatcher = AgentDispatcher(
            store: store, agents: agents, instanceID: instanceID, lease: kernel.settings.workLease,
            batching: Self.batching(of: kernel.channels, within: kernel.settings.batchWait),
            lifetime: { lifetimes[$0] },
            typing: { [channels = kernel.channels] in channels.channel($0)?.declarations.typing == true },
            logger: logger)
        self.agents = agents
        self.dispatcher = dispatcher
        desk = MessageDesk(store: store, instanceID: instanceID, lifetimes: lifetimes, logger: logger)
        lanes = Dictionary(
            uniqueKeysWithValues: kernel.channels.channels.map {
                ($0.id, MessageLane(of: $0.id, store: store, dispatcher: dispatcher))
            })
        suspectCalls = SuspectCalls(store: store, limit: kernel.settings.deliveryAttempts, logger: logger)
        silences = Batcher {
            try await store.keepSilencePeriods($0.map { ($0.sender, $0.periods) })
            return $0.map { _ in () }
        }
        acknowledgements = Batcher(
            key: { $0.session.senderID.key }, locks: .ofDevices(\.session.senderID, in: store)
        ) {
            try await store.acknowledge($0)
            return $0.map { _ in () }
        }
    }

    /// Whether this instance may act: it confirmed its sessions with the database within its lease.
    public var hasAuthority: Bool { state.withLock { $0.lease.isHeld(now: .now) } }

    /// How many devices have their session here.
    public var liveCount: Int { state.withLock { $0.table.liveCount } }

    /// `device.pair.request`: asks to pair, or repeats a request; the socket waits for the decision.
    ///
    /// - Throws: a ``Refusal``; nothing was stored, except that a rival claim is shown to administrators.
    public func requestPairing(
        _ claim: PairingClaim, from peer: Peer, on socket: any DeviceSocket
    ) async throws(Refusal) -> PairingAnswer {
        try await authorising(
            socket, as: claim.senderID, on: claim.channel, unlessLive: { _ in .approved }
        ) { () async throws(Refusal) in
            let answer = try await pairing.requestPairing(
                claim, from: peer, instance: instanceID, socket: socket.id)
            switch answer {
            case .pending(let ticket): await wait(socket, for: ticket.requestID, of: ticket.senderID)
            case .approved: state.withLock { $0.table.abandon(socket.id) }
            }
            return answer
        }
    }

    /// `device.pair.status`: tells whoever proves the credential where its request or pairing stands.
    ///
    /// - Throws: `NOT_PAIRED` with one answer for all who prove nothing.
    public func status(of identity: DeviceIdentity, from peer: Peer) async throws(Refusal) -> PairingStatus {
        switch try await pairing.standing(of: identity, purpose: .status, from: peer) {
        case .active: return .approved
        case .pending(let ticket): return .pending(ticket)
        case .denied(let retryAfter, let reason): return .denied(retryAfter: retryAfter, reason: reason)
        case .expired: return .expired
        case .revoked(let reason, _): return .revoked(reason: reason)
        case .unknown: throw .unknownDevice
        }
    }

    /// `connect`: makes the socket the device's session, or lets it wait for the decision.
    ///
    /// An older session of the device, on any instance, is closed with 4002.
    ///
    /// - Throws: `NOT_PAIRED` with the reason `revoked`, `denied`, `expired` or `unknown`.
    public func connect(
        _ identity: DeviceIdentity, from peer: Peer, on socket: any DeviceSocket
    ) async throws(Refusal) -> ConnectAnswer {
        try await authorising(
            socket, as: identity.senderID, on: identity.channel, unlessLive: { .paired($0) }
        ) { () async throws(Refusal) in
            switch try await pairing.standing(of: identity, purpose: .connect, from: peer) {
            case .active(let device):
                socket.proven()
                try checkContention(of: device.senderID)
                return .paired(try await begin(device.generation, of: device, at: peer.address, on: socket))
            case .pending(let ticket):
                let id = ticket.requestID
                let stillPending = try await refusing(logger) {
                    try await pairing.strangers.pass(peer.address) {
                        try await store.wait(socket.id, of: instanceID, for: id)
                    }
                }
                await wait(socket, for: id, of: ticket.senderID)
                if !stillPending { wakes.continuation.yield() }
                return .pending(ticket)
            case .denied(let retryAfter, let reason):
                throw .denied(retryAfter: retryAfter).explained(by: reason)
            case .expired: throw .expired
            case .revoked(let reason, let ago):
                // For those who connect and ask to pair in one: the wait after a denial holds after this, too.
                var refusal = Refusal.pairingEnded.explained(by: reason)
                let left = settings.pairingCooldown - ago
                if left > .zero { refusal.details["cooldownMs"] = .integer(left.milliseconds) }
                throw refusal
            case .unknown: throw .unknownDevice
            }
        }
    }

    /// `connect`, and where nobody is known by that, `device.pair.request`: for dialects whose devices do not tell the
    /// two apart, so that each connection is a request as well. After a denial or a revocation that has to wait.
    public func enter(
        _ claim: PairingClaim, as identity: DeviceIdentity, from peer: Peer, on socket: any DeviceSocket
    ) async throws(Refusal) -> ConnectAnswer {
        do throws(Refusal) {
            return try await connect(identity, from: peer, on: socket)
        } catch {
            guard error.code == .notPaired else { throw error }
            switch error.reason {
            case "unknown", "expired": break
            case "denied" where error.retryAfter == nil: break
            case "revoked":
                guard let left = error.details["cooldownMs"]?.wholeNumber else { break }
                var refusal = error
                (refusal.retryable, refusal.retryAfter) = (true, .milliseconds(left))
                throw refusal
            default: throw error
            }
        }
        switch try await requestPairing(claim, from: peer, on: socket) {
        case .pending(let ticket): return .pending(ticket)
        // Somebody decided in between.
        case .approved: return try await connect(identity, from: peer, on: socket)
        }
    }

    /// Closes the socket with ``SocketClosure/authorityEnded`` within seconds of the authority's end.
    public func watch(_ authority: Authority, on socket: any DeviceSocket) {
        change(because: "an administrator's now") { $0.table.watch(socket.id, authority) }
        wakes.continuation.yield()
    }

    /// The socket is open. Comes before everything else on it; never blocks.
    public func attach(_ socket: any DeviceSocket) {
        state.withLock { $0.table.attach(socket.id, socket) }
    }

    /// The socket is gone. Never blocks; the database learns of it soon after. What is still under way on it,
    /// or begins later, comes to nothing.
    public func detach(_ socket: any DeviceSocket) {
        change(because: "disconnected") { $0.table.detach(socket.id) }
    }

    /// Makes the socket the session of a device whose credential was checked against `generation`, where its
    /// channel agrees.
    func begin(
        _ generation: Generation, of device: PairedDevice, at address: ClientAddress,
        on socket: any DeviceSocket, comesWithApproval: Bool = false
    ) async throws(Refusal) -> SessionGrant {
        var work = try await open(device, on: socket)
        do throws(Refusal) {
            let arrival = PairingStore.Arrival(
                senderID: device.senderID, generation: generation, address: address,
                comesWithApproval: comesWithApproval)
            guard let row = try await refusing(logger, { try await arrivals.submit(arrival) }) else {
                throw .pairingEnded
            }
            let grant = SessionGrant(
                sessionID: row.sessionID, instanceID: instanceID, channel: device.channel,
                senderID: device.senderID, generation: generation, epoch: row.epoch,
                limits: limits(of: device.channel))
            work.delivery = SessionDelivery(delivered: row.acknowledged, hasBacklog: row.hasOpenMessages)
            work.acknowledged = row.acknowledged
            work.suspects = SuspectMessages(uncleanEnds: row.uncleanEnds, newest: row.newest)
            work.unproven = row.uncleanEnds > 0 ? grant.liveSession : nil
            try activate(grant, work, on: socket)
            if row.hasOpenMessages { dispatcher.want([device.senderID]) }
            await keepSilencePeriods(of: grant, work.channel)
            return grant
        } catch {
            channels.close(work.channel, reason: "not connected")
            throw error
        }
    }

    private func activate(
        _ grant: SessionGrant, _ work: SessionWork, on socket: any DeviceSocket
    ) throws(Refusal) {
        let activation = change(because: "replaced") { state in
            let activation = state.table.activate(socket.id, grant)
            if case .granted = activation {
                state.work[socket.id] = work
                // Under the lock, so that no `resume` comes before it.
                if state.lease.isSuspended { socket.suspend() }
            } else if let session = work.unproven {
                state.unproven.insert(session)
            }
            return activation
        }
        switch activation {
        case .granted(let replaced):
            for older in replaced {
                noteReplacement(of: grant.senderID.key)
                older.close(.replaced)
            }
        case .ended(let closure):
            socket.close(closure)
            throw closure == .revoked ? .pairingEnded : .sessionEnded
        case .gone:
            throw .sessionEnded
        }
    }

    /// What a socket that asks for something is.
    private enum Entrance {
        case gone
        /// A decision is being passed on to it, which may make it a session.
        case busy
        case live(SessionGrant)
        case entered
    }

    /// Registers the socket as authorising before the database is read; a failure leaves it as what it was.
    ///
    /// - Parameter unlessLive: the answer where the socket is the device's session already: an approval made
    ///   it one before the device asked by itself, or it asks once more.
    private func authorising<Value>(
        _ socket: any DeviceSocket, as senderID: SenderID, on channel: ChannelID,
        unlessLive answer: (SessionGrant) -> Value, _ body: () async throws(Refusal) -> Value
    ) async throws(Refusal) -> Value {
        while true {
            let entrance = state.withLock { state -> Entrance in
                if let grant = state.table.session(of: socket.id) { return .live(grant) }
                if state.table.isAuthorising(socket.id) { return .busy }
                return state.table.authorise(socket.id, as: senderID) ? .entered : .gone
            }
            switch entrance {
            case .gone: throw .sessionEnded
            case .live(let grant):
                guard grant.senderID == senderID, grant.channel == channel else { throw .alreadySomebody }
                return answer(grant)
            case .busy:
                guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { throw .sessionEnded }
                continue
            case .entered: break
            }
            do {
                return try await body()
            } catch {
                if let id = state.withLock({ $0.table.fail(socket.id) }) {
                    // Not awaited: the refusal must not wait for a database that is away.
                    Task { await self.resolveIfEnded(id, of: senderID, at: socket.address) }
                }
                throw error
            }
        }
    }

    /// Lets the socket wait, and looks once more: the decision may have come before the socket was known.
    private func wait(_ socket: any DeviceSocket, for id: RequestID, of senderID: SenderID) async {
        guard state.withLock({ $0.table.wait(socket.id, for: id, of: senderID) }) else { return }
        await resolveIfEnded(id, of: senderID, at: socket.address)
    }

    private func resolveIfEnded(
        _ id: RequestID, of senderID: SenderID, at address: ClientAddress
    ) async {
        let ended = try? await pairing.strangers.pass(address) { try await store.endedRequests(among: [id]) }
        if ended?.isEmpty == false { await resolve(id, of: senderID) }
    }
}

extension PairingStore.LiveSession {
    var sender: PairingStore.PairedSender {
        PairingStore.PairedSender(senderID: senderID, generation: generation)
    }
}

extension SessionGrant {
    var liveSession: PairingStore.LiveSession {
        PairingStore.LiveSession(senderID: senderID, generation: generation, epoch: epoch)
    }
}

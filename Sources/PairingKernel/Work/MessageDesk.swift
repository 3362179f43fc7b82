import Logging
import Metrics
import PairingCore
import PairingStore
import Synchronization

/// What administrators' programs do with messages.
public struct MessageDesk: Sendable {
    /// The longest `pushId` in bytes.
    public static let maximumPushIDLength = 128
    /// How long a push may be wanted.
    public static let lifetimes = Duration.seconds(1) ... .seconds(30 * 86400)

    let store: PairingStore
    let logger: Logger
    private let pushes: Batcher<PairingStore.Push, Outcome<PairingStore.StoredPush>>

    /// - Parameter lifetimes: how long messages to devices of these channels are wanted, where nobody says it.
    init(
        store: PairingStore, instanceID: InstanceID? = nil, lifetimes: [ChannelID: Duration] = [:],
        logger: Logger
    ) {
        self.store = store
        self.logger = logger
        pushes = Batcher(cost: \.body.utf8.count, locks: .ofDevices(\.senderID, in: store)) {
            try await store.push($0, by: instanceID, lifetimes: lifetimes)
        }
    }

    /// `message.push`: stores a message for a device, whether it is connected or not; the same push ID of a device is
    /// the same message.
    ///
    /// - Parameters:
    ///   - id: 1 to 128 bytes, of the program's choosing.
    ///   - agent: who speaks; `nil` for the actor's name.
    ///   - body: compact JSON text of up to ``DeviceSessions/maximumBodyBytes``.
    ///   - lifetime: how long it is wanted, one second to 30 days; `nil` for as long as the device's channel says.
    /// - Throws: `FORBIDDEN`, `NOT_FOUND` where no such device is paired, `RESOURCE_EXHAUSTED` where too much waits
    ///   for it.
    public func push(
        _ body: String, to senderID: SenderID, id: String, agent: String? = nil, lifetime: Duration? = nil,
        by authority: Authority
    ) async throws(Refusal) -> MessageReport {
        try await store(body, for: senderID, id: id, agent: agent, lifetime: lifetime, by: authority).report
    }

    func store(
        _ body: String, for senderID: SenderID, id: String, agent: String?, lifetime: Duration?,
        by authority: Authority
    ) async throws(Refusal) -> PairingStore.StoredPush {
        try authority.require(.send)
        guard (1...Self.maximumPushIDLength).contains(id.utf8.count), !id.utf8.contains(0) else {
            throw Refusal(
                .invalidRequest, "bad_parameter",
                "pushId: expected a string of 1 to \(Self.maximumPushIDLength) bytes.",
                details: ["parameter": .string("pushId")])
        }
        guard body.utf8.count <= DeviceSessions.maximumBodyBytes else {
            throw .messageTooLarge(body.utf8.count)
        }
        let push = PairingStore.Push(
            senderID: senderID, pushID: id, agent: agent ?? authority.actor.name, body: body,
            lifetime: lifetime, actor: authority.actor)
        return try await store(push)
    }

    /// Stores a message of this program's own.
    func store(_ push: PairingStore.Push) async throws(Refusal) -> PairingStore.StoredPush {
        try await refusing(logger) { try await pushes.submit(push) }.get()
    }

    /// `message.status` of a push.
    ///
    /// - Throws: `NOT_FOUND` where there is none of that ID, or no longer.
    public func status(
        ofPush id: String, to senderID: SenderID, by authority: Authority
    ) async throws(Refusal) -> MessageReport {
        try authority.require(.send)
        guard
            let report = try await refusing(logger, { try await store.pushReport(of: senderID, pushID: id) })
        else { throw .noSuchMessage }
        return report
    }
}

extension DeviceSessions {
    /// `message.push`: as ``MessageDesk/push(_:to:id:agent:lifetime:by:)``; a session of this gateway gets it at once.
    public func push(
        _ body: String, to senderID: SenderID, id: String, agent: String?, lifetime: Duration?,
        by authority: Authority
    ) async throws(Refusal) -> MessageReport {
        let stored = try await desk.store(
            body, for: senderID, id: id, agent: agent, lifetime: lifetime, by: authority)
        if let message = stored.message, let epoch = stored.epoch {
            self.stored([message], for: stored.sender, epoch: epoch)
        }
        return stored.report
    }

    /// `message.status` of a device's own message.
    ///
    /// - Throws: `NOT_FOUND` where the device sent none of that ID, or it is no longer kept.
    public func status(
        ofMessage id: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReport {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { throw .sessionEnded }
        let key = PairingStore.MessageKey(session: grant.liveSession, messageID: id)
        guard let report = try await refusing(logger, { try await store.messageReport(of: key) }) else {
            throw .noSuchMessage
        }
        return report
    }

    /// `message.abort`: the device wants no answer to a message any more; whoever works on it stops.
    ///
    /// - Returns: what became of the message: it may have been answered before.
    /// - Throws: `NOT_FOUND` where the device sent none of that ID.
    public func abort(
        message id: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReport {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { throw .sessionEnded }
        let key = PairingStore.MessageKey(session: grant.liveSession, messageID: id)
        let outcome = try await refusing(logger) { try await store.abort(key, by: instanceID) }
        guard let aborted = try outcome.get() else { throw .noSuchMessage }
        if aborted.isNew {
            MessageEnds.aborted.increment()
            dispatcher.abort(aborted.report.sequence, of: grant.senderID.key)
        }
        return aborted.report
    }
}

extension Refusal {
    fileprivate static let noSuchMessage = Refusal(
        .notFound, "unknown_message", "There is no message of this identifier, or it is no longer kept.")
}

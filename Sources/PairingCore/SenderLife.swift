/// The life of one sender ID: who may claim it, and how its request and its pairing end.
///
/// A pure machine. The store fills it with what the database holds while the sender ID is locked (I2),
/// asks it one question with the database's time, and carries out the action in the same transaction.
public struct SenderLife: Sendable, Equatable {
    /// A denial that still makes its device wait.
    public struct Denial: Sendable, Equatable {
        /// The denied credential.
        public var credential: StoredCredential
        /// The address the denied request came from.
        public var address: ClientAddress?
        /// Until when the credential and the address (IPv6: its /64) wait.
        public var until: Timestamp

        /// Wraps the parts.
        public init(credential: StoredCredential, address: ClientAddress?, until: Timestamp) {
            self.credential = credential
            self.address = address
            self.until = until
        }
    }

    /// The pending request, if there is one.
    public private(set) var pending: PairingRequest?
    /// The active pairing, if there is one.
    public private(set) var active: PairedDevice?
    /// The current generation; 0 for a sender ID that was never paired.
    public private(set) var generation: Generation
    private let denials: [Denial]

    /// Restores the machine from rows read under the sender ID's lock.
    ///
    /// - Parameter pending: a request in state `pending`, whether or not its time is over.
    public init(
        pending: PairingRequest?, active: PairedDevice?, generation: Generation, denials: [Denial] = []
    ) {
        self.pending = pending
        self.active = active
        self.generation = generation
        self.denials = denials
    }

    /// Whether there is a pending request whose time is over.
    public func isDue(now: Timestamp) -> Bool { pending.map { $0.expiresAt <= now } ?? false }

    /// Ends a pending request whose time is over. Called before every question, so that no answer depends
    /// on when a sweeper ran.
    ///
    /// - Returns: the request that expired.
    public mutating func expire(now: Timestamp) -> PairingRequest? {
        guard isDue(now: now), let request = pending else { return nil }
        pending = nil
        return request
    }

    /// What a claim on the sender ID leads to.
    public enum ClaimAction: Sendable, Equatable {
        /// Nobody holds the sender ID: store a request.
        case create
        /// The same device asks again: answer with its request, unchanged (I11).
        case repeated(PairingRequest)
        /// The device is paired already and may connect.
        case alreadyPaired(PairedDevice)
        /// Another device holds the sender ID: refuse, and show the rival to the administrator (I1).
        case rival(Refusal)
        /// This credential or address was denied a short while ago.
        case wait(Refusal)
    }

    /// A stranger is not told whether the sender ID is paired or asked for (I6).
    private static let taken = Refusal(.senderIDTaken)

    /// A device claims the sender ID. `credential` is proven: a key by its signature, a token by itself.
    public func claim(
        channel: ChannelID, credential: StoredCredential, address: ClientAddress?, now: Timestamp
    ) -> ClaimAction {
        if let active {
            guard active.credential == credential, active.channel == channel else {
                return .rival(Self.taken)
            }
            return .alreadyPaired(active)
        }
        if let pending {
            guard pending.credential == credential, pending.channel == channel else {
                return .rival(Self.taken)
            }
            return .repeated(pending)
        }
        let blocking = denials.filter {
            $0.until > now
                && ($0.credential == credential
                    || ($0.address != nil && $0.address?.limitKey == address?.limitKey))
        }
        if let until = blocking.map(\.until).max() {
            return .wait(
                Refusal(.deniedRecently, retryAfter: until - now))
        }
        return .create
    }

    /// What a decision leads to: the state to write, or why not.
    public enum Decision<Row: Sendable & Equatable>: Sendable, Equatable {
        /// Write this row.
        case write(Row)
        /// The state has changed since it was displayed.
        case refuse(Refusal)
    }

    /// An administrator approves the request `id` that was displayed with `code`.
    ///
    /// - Returns: the pairing to write, at the next generation.
    public mutating func approve(
        id: RequestID, code: PairingCode, by actor: Actor, now: Timestamp
    ) -> Decision<PairedDevice> {
        switch matching(id: id, code: code) {
        case .refuse(let refusal): return .refuse(refusal)
        case .write(let request):
            guard active == nil else {
                return .refuse(
                    Refusal(.senderIDPaired))
            }
            generation = Generation(generation.number + 1)
            let device = PairedDevice(
                requestID: request.id, senderID: request.senderID, channel: request.channel,
                credential: request.credential, profile: request.profile, generation: generation,
                state: .active, pairedAt: now, pairedBy: actor.name)
            pending = nil
            active = device
            return .write(device)
        }
    }

    /// An administrator denies the request `id` that was displayed with `code`.
    public mutating func deny(
        id: RequestID, code: PairingCode, by actor: Actor, now: Timestamp
    ) -> Decision<PairingRequest> {
        switch matching(id: id, code: code) {
        case .refuse(let refusal): return .refuse(refusal)
        case .write(var request):
            request.state = .denied
            request.decidedAt = now
            request.decidedBy = actor.name
            pending = nil
            return .write(request)
        }
    }

    /// An administrator revokes the pairing that was displayed with `generation`.
    ///
    /// - Parameters:
    ///   - channel: the channel that was displayed; `nil` for whichever it is.
    ///   - displayed: the generation that was displayed; `nil` for whichever it is.
    public mutating func revoke(
        channel: ChannelID?, displayed: Generation?, by actor: Actor, now: Timestamp
    ) -> Decision<PairedDevice> {
        guard var device = active else {
            return .refuse(
                Refusal(.notPaired))
        }
        if let channel, device.channel != channel {
            return .refuse(
                Refusal(
                    .notPaired,
                    "The device with this sender ID is paired on the channel \(device.channel), not on \(channel)."
                ))
        }
        guard displayed == nil || device.generation == displayed else {
            return .refuse(
                Refusal(.generationChanged))
        }
        generation = Generation(generation.number + 1)
        device.state = .revoked
        device.revokedAt = now
        device.revokedBy = actor.name
        active = nil
        return .write(device)
    }

    private func matching(id: RequestID, code: PairingCode) -> Decision<PairingRequest> {
        guard let request = pending, request.id == id else {
            return .refuse(
                Refusal(.requestEnded)
            )
        }
        guard request.code == code else {
            return .refuse(
                Refusal(.codeMismatch))
        }
        return .write(request)
    }
}

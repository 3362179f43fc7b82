import Cryptography
import Logging
import PairingCore
import PairingStore

/// An invitation as it is listed.
public struct Invitation: Sendable, Equatable {
    /// Its identifier, for withdrawing it.
    public var id: String
    /// The device that may use it.
    public var senderID: SenderID
    /// The channel it may use it on.
    public var channel: ChannelID
    /// When it was made.
    public var createdAt: Timestamp
    /// By whom.
    public var createdBy: String
    /// Until when it can be used.
    public var expiresAt: Timestamp
    /// What became of it.
    public var state: State

    /// What became of an invitation.
    public enum State: String, Sendable {
        case open, used, withdrawn, expired
    }

    /// Wraps the parts.
    public init(
        id: String, senderID: SenderID, channel: ChannelID, createdAt: Timestamp, createdBy: String,
        expiresAt: Timestamp, state: State
    ) {
        self.id = id
        self.senderID = senderID
        self.channel = channel
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.expiresAt = expiresAt
        self.state = state
    }
}

/// An invitation that was just made; its secret is not stored.
public struct MadeInvitation: Sendable, Equatable {
    /// The device that may use it.
    public var senderID: SenderID
    /// The channel it may use it on.
    public var channel: ChannelID
    /// What the device presents.
    public var secret: InvitationSecret
    /// What leads a browser there with everything it needs; what is behind the # is sent to no server.
    public var link: String

    /// Wraps the parts.
    public init(senderID: SenderID, channel: ChannelID, secret: InvitationSecret, link: String) {
        self.senderID = senderID
        self.channel = channel
        self.secret = secret
        self.link = link
    }
}

/// Invitations, which let a device pair without anybody deciding, and when devices may ask to.
public struct Invitations: Sendable {
    /// The most that are made at once.
    public static let most = 500
    /// How long one may last.
    public static let lifetimes = Duration.seconds(60) ... .seconds(90 * 86400)

    let store: PairingStore
    let settings: PairingSettings
    let logger: Logger

    /// A new seed for ``create(for:on:lifetime:seed:from:by:)``.
    public static func makeSeed() throws(CryptographyError) -> [UInt8] { try randomBytes(count: 32) }

    /// Makes an invitation for each of the sender IDs.
    ///
    /// - Parameters:
    ///   - senderIDs: 1 to ``most``.
    ///   - lifetime: how long each can be used, once.
    ///   - seed: 32 random bytes, which the secrets follow from: sent again with the same sender IDs, it makes nothing
    ///     new and is answered with the same.
    public func create(
        for senderIDs: [SenderID], on channel: ChannelID, lifetime: Duration, seed: [UInt8],
        from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> [MadeInvitation] {
        try authority.require(.administer)
        guard settings.edition == .standard else {
            throw Refusal(.liteEdition, "The lite edition has no channels, so nobody can be invited.")
        }
        guard (1...Self.most).contains(senderIDs.count), Self.lifetimes.contains(lifetime), seed.count == 32
        else {
            throw Refusal(
                .badInvitation, "Expected 1 to \(Self.most) sender IDs, and a time from a minute to 90 days.")
        }
        var made: [MadeInvitation] = []
        for senderID in senderIDs {
            let bytes = hmacSHA256(key: seed, message: Array("invitation-v1|\(channel)|\(senderID)".utf8))
            guard let secret = InvitationSecret(bytes: bytes) else { throw .internal }
            made.append(
                MadeInvitation(
                    senderID: senderID, channel: channel, secret: secret,
                    link: link(secret, senderID, channel)))
        }
        let stored = made.map {
            PairingStore.NewInvitation(hash: sha256($0.secret.bytes), senderID: $0.senderID, channel: channel)
        }
        try await refusing(logger) {
            try await store.createInvitations(
                stored, lifetime: lifetime, by: Origination(authority.actor, address: address))
        }
        return made
    }

    /// The newest invitations, ended ones too.
    public func list(by authority: Authority) async throws(Refusal) -> [Invitation] {
        try authority.require(.administer)
        return try await refusing(logger) {
            try await store.invitations(limit: 200).map { row in
                let state: Invitation.State =
                    row.isOpen
                    ? .open : row.endedAt == nil ? .expired : row.withdrawnBy == nil ? .used : .withdrawn
                return Invitation(
                    id: row.id, senderID: row.senderID, channel: row.channel, createdAt: row.createdAt,
                    createdBy: row.createdBy, expiresAt: row.expiresAt, state: state)
            }
        }
    }

    /// Withdraws an invitation.
    ///
    /// - Throws: `NOT_FOUND` where there is none of that ID that can still be used.
    public func withdraw(
        _ id: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        let missing = Refusal(.unknownInvitation)
        guard let id = RequestID(id) else { throw missing }
        let withdrawn = try await refusing(logger) {
            try await store.withdrawInvitation(id.text, by: Origination(authority.actor, address: address))
        }
        guard withdrawn else { throw missing }
    }

    /// When devices may ask to pair.
    public func window(by authority: Authority) async throws(Refusal) -> PairingWindow {
        try authority.require(.read)
        return try await refusing(logger) { try await store.pairingWindow() }
    }

    /// What may be decided about when devices ask to pair.
    public enum WindowChange: Sendable, Equatable {
        case always, never
        /// From now on, for a minute to a day.
        case open(Duration)
    }

    /// Decides when devices may ask to pair.
    @discardableResult
    public func setWindow(
        _ change: WindowChange, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> PairingWindow {
        try authority.require(.decide)
        let mode: String
        var duration: Duration?
        switch change {
        case .always: mode = "always"
        case .never: mode = "never"
        case .open(let time):
            guard time >= .seconds(60), time <= .seconds(86400) else {
                throw Refusal(.badWindow)
            }
            (mode, duration) = ("until", time)
        }
        let origination = Origination(authority.actor, address: address)
        return try await refusing(logger) {
            try await store.setPairingWindow(mode: mode, for: duration, by: origination)
        }
    }

    private func link(_ secret: InvitationSecret, _ senderID: SenderID, _ channel: ChannelID) -> String {
        let origin = settings.origins.origins.first?.text ?? ""
        return "\(origin)/device#channel=\(channel)&senderId=\(senderID)&invitation=\(secret.text)"
    }
}

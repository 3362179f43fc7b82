import Agents
import Cryptography
import Logging
import PairingCore
import PairingStore

/// What the configuration decides about web hooks.
public struct WebhookSettings: Sendable {
    /// Which addresses they may be sent to.
    public var addresses = ReachableAddresses()
    /// Whether `http` will do.
    public var allowsPlain = false
    /// How long one delivery may take.
    public var timeout = Duration.seconds(10)
    /// After how long without any delivery getting through a hook is told nothing any more.
    public var disableAfter = Duration.seconds(3 * 86400)

    /// As shipped.
    public init() {}
}

/// A web hook as administrators see it.
public struct Webhook: Sendable, Equatable {
    /// A UUID.
    public var id: String
    /// Where it is sent.
    public var url: String
    /// Which events it is told; `nil` for one that is told of waiting devices.
    public var events: String?
    /// The name that channels give for devices that are away; `nil` for one that is told events.
    public var pushHook: String?
    /// Whether it is told anything: `enabled`, `disabled` (somebody said so) or `failed`.
    public var state: String
    /// Since when.
    public var stateSince: Timestamp
    /// When it was added.
    public var createdAt: Timestamp
    /// By whom.
    public var createdBy: String
    /// Up to where in the event feed it was told everything it wants.
    public var cursor: Int64
    /// How many attempts in a row failed.
    public var attempts: Int
    /// Since when no delivery gets through.
    public var failingSince: Timestamp?
    /// When it is tried again.
    public var nextTryAt: Timestamp?
    /// When something was delivered last.
    public var lastDeliveryAt: Timestamp?
    /// What went wrong last.
    public var lastError: String?
    /// When.
    public var lastErrorAt: Timestamp?
    /// Until when the secret before the newest signs, too.
    public var oldSecretUntil: Timestamp?

    /// Wraps what every hook has.
    public init(
        id: String, url: String, state: String, stateSince: Timestamp, createdAt: Timestamp,
        createdBy: String,
        cursor: Int64
    ) {
        self.id = id
        self.url = url
        self.state = state
        self.stateSince = stateSince
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.cursor = cursor
        attempts = 0
    }

    /// Whether it is told what happens.
    public var isEnabled: Bool { state == "enabled" }
}

/// Web hooks: who is told what, and whether that works. For administrators only.
public struct Webhooks: Sendable {
    /// How long the secret before the newest signs, too.
    public static let overlap = Duration.seconds(86_400)
    /// For how long a new secret is shown.
    static let secretShown = Duration.seconds(600)

    /// What a web hook is told.
    public enum Subject: Sendable, Equatable {
        /// What happens: names of events and beginnings of names, as people type them; `*` or nothing for all.
        case events(String)
        /// That messages wait for devices whose channel gives this name.
        case waiting(String)
    }

    let store: PairingStore
    let settings: PairingSettings
    let sender: WebhookSender
    let logger: Logger

    init(store: PairingStore, settings: PairingSettings, clock: @escaping WallClock, logger: Logger) {
        self.store = store
        self.settings = settings
        self.logger = logger
        sender = WebhookSender(rules: WebhookSender.Rules(settings.webhooks), clock: clock)
    }

    /// Whether this installation has a key to keep secrets under.
    public var isAvailable: Bool { settings.accountKey != nil }

    /// The names under which channels ask for somebody to be told of devices that are away.
    public func pushHooks(by authority: Authority) async throws(Refusal) -> [String] {
        try authority.require(.administer)
        return try await refusing(logger) { try await store.pushHooks() }
    }

    /// A new ID for ``add(_:to:telling:from:by:)``.
    public static func makeID() throws(CryptographyError) -> String {
        var bytes = try randomBytes(count: 16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = hexadecimal(bytes)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(place) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    /// Every web hook.
    public func list(by authority: Authority) async throws(Refusal) -> [Webhook] {
        try authority.require(.administer)
        return try await refusing(logger) { try await store.webhooks().map(Webhook.init) }
    }

    /// One web hook, and its secret in the ten minutes after that was made.
    public func webhook(
        _ id: String, by authority: Authority
    ) async throws(Refusal) -> (hook: Webhook, secret: String?) {
        try authority.require(.administer)
        let row = try await row(id)
        let isFresh = row.now - row.secretSince < Self.secretShown
        let secret = try await refusing(logger) {
            isFresh
                ? try settings.accountKey.flatMap { try WebhookKeys($0).open(row.secret, of: row.id) } : nil
        }
        return (Webhook(row), secret.map(StandardWebhook.text(ofSecret:)))
    }

    /// Adds a web hook, with a secret of its own.
    ///
    /// - Parameters:
    ///   - id: of ``makeID()``; the same again is the same web hook.
    ///   - url: where it is sent.
    /// - Throws: `INVALID_REQUEST` where the address or what it is told can't be read or is not allowed.
    public func add(
        _ id: String, to url: String, telling subject: Subject, from address: ClientAddress? = nil,
        by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        guard let id = RequestID(id)?.text else { throw Self.unknown }
        let keys = try keys()
        let target: WebhookAddress
        do throws(WebhookAddress.Problem) {
            target = try WebhookAddress(url)
        } catch {
            throw Refusal(.invalidRequest, "bad_address", "\(error)")
        }
        if let objection = sender.objection(to: target) {
            throw Refusal(.invalidRequest, "address_not_allowed", objection)
        }
        let stored = try Self.stored(subject)
        let outcome = try await refusing(logger) {
            try await store.addWebhook(
                id, url: target.text, subject: stored,
                secret: keys.seal(try randomBytes(count: 32), of: id),
                details: Self.details(id, url: target.text, stored),
                by: Origination(authority.actor, address: address))
        }
        try outcome.get()
    }

    /// Sends an event of its own to a web hook, `webhook.tested`, whatever it is told otherwise.
    ///
    /// - Returns: the event's position: it was delivered once the hook's cursor is there.
    @discardableResult
    public func test(
        _ id: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> Int64 {
        try await change(id, .test, from: address, by: authority) ?? 0
    }

    /// Tells a web hook what happens again: from where it was told last, or, where `skips`, from now on.
    public func enable(
        _ id: String, skipping skips: Bool = false, from address: ClientAddress? = nil,
        by authority: Authority
    ) async throws(Refusal) {
        _ = try await change(id, .enable(skipping: skips), from: address, by: authority)
    }

    /// Tells a web hook nothing until it is enabled.
    public func disable(
        _ id: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        _ = try await change(id, .disable, from: address, by: authority)
    }

    /// Gives a web hook another secret. The one before signs beside it for ``overlap``.
    public func rotateSecret(
        of id: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.administer)
        let (keys, known) = (try keys(), try await row(id))
        let sealed = try await refusing(logger) { try keys.seal(try randomBytes(count: 32), of: known.id) }
        _ = try await change(
            id, .rotate(secret: sealed, overlap: Self.overlap), from: address, by: authority)
    }

    /// Forgets a web hook.
    public func remove(
        _ id: String, from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) {
        _ = try await change(id, .remove, from: address, by: authority)
    }

    private func change(
        _ id: String, _ change: PairingStore.WebhookChange, from address: ClientAddress?,
        by authority: Authority
    ) async throws(Refusal) -> Int64? {
        try authority.require(.administer)
        let row = try await row(id)
        let outcome = try await refusing(logger) {
            try await store.changeWebhook(
                row.id, change, details: Self.details(row.id, url: row.url, row.subject),
                by: Origination(authority.actor, address: address))
        }
        return try outcome.get()
    }

    private func row(_ id: String) async throws(Refusal) -> PairingStore.WebhookRow {
        guard let id = RequestID(id)?.text else { throw Self.unknown }
        let row = try await refusing(logger) { try await store.webhook(id) }
        guard let row else { throw Self.unknown }
        return row
    }

    private func keys() throws(Refusal) -> WebhookKeys {
        guard let key = settings.accountKey else {
            throw Refusal(
                .failedPrecondition, "no_key",
                "This installation has no key to keep the secrets of web hooks under. Its operator names one in "
                    + "session.key_file.")
        }
        return WebhookKeys(key)
    }

    private static let unknown = Refusal(
        .notFound, "unknown_webhook", "There is no web hook of this ID. Look at the list.")

    private static func stored(_ subject: Subject) throws(Refusal) -> PairingStore.WebhookSubject {
        switch subject {
        case .events(let typed):
            guard let filter = WebhookFilter(typed) else {
                throw Refusal(
                    .invalidRequest, "bad_events",
                    "Expected names of events, such as pairing.approved, or beginnings of names, such as pairing.*; at "
                        + "most \(WebhookFilter.most).")
            }
            return .events(filter)
        case .waiting(let name):
            guard let first = name.utf8.first, (97...122).contains(first), name.utf8.count <= 64,
                name.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 95 })
            else {
                throw Refusal(
                    .invalidRequest, "bad_push_hook",
                    "Expected the name that a channel gives for its push hook, such as mobile.")
            }
            return .waiting(name)
        }
    }

    /// What events say of a web hook: which, and the host it is sent to. Some addresses are secrets of their receivers.
    static func details(
        _ id: String, url: String, _ subject: PairingStore.WebhookSubject, reason: String? = nil
    ) -> JSONValue {
        var details: [String: JSONValue] = [
            "webhookId": .string(id), "host": .string((try? WebhookAddress(url))?.host ?? ""),
        ]
        switch subject {
        case .events(let filter): details["events"] = .string(filter.description)
        case .waiting(let name): details["pushHook"] = .string(name)
        }
        if let reason { details["reason"] = .string(reason) }
        return .object(details)
    }
}

extension WebhookSender.Rules {
    init(_ settings: WebhookSettings) {
        self.init(
            addresses: settings.addresses, allowsPlain: settings.allowsPlain, timeout: settings.timeout)
    }
}

extension Webhook {
    init(_ row: PairingStore.WebhookRow) {
        self.init(
            id: row.id, url: row.url, state: row.state.rawValue, stateSince: row.stateSince,
            createdAt: row.createdAt, createdBy: row.createdBy, cursor: row.cursor)
        switch row.subject {
        case .events(let filter): events = filter.description
        case .waiting(let name): pushHook = name
        }
        attempts = row.attempts
        failingSince = row.failingSince
        nextTryAt = row.nextTryAt.flatMap { $0 > row.now ? $0 : nil }
        lastDeliveryAt = row.lastDeliveryAt
        lastError = row.lastError
        lastErrorAt = row.lastErrorAt
        oldSecretUntil = row.oldSecret == nil ? nil : row.oldSecretUntil
    }
}

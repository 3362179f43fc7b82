import PairingCore
import Postgres

extension PairingStore {
    /// The most web hooks there are: each has every event looked at for it.
    public static let mostWebhooks = 100

    /// What a web hook is told.
    public enum WebhookSubject: Sendable, Equatable {
        /// What happens, as far as the filter admits it.
        case events(WebhookFilter)
        /// That messages wait for devices whose channel gives this name.
        case waiting(String)
    }

    /// Whether a web hook is told anything.
    public enum WebhookState: String, Sendable {
        case enabled
        /// Somebody said so.
        case disabled
        /// It failed for too long, or its receiver wants none any more.
        case failed
    }

    /// A web hook as it is listed, with its secrets as they are kept: encrypted.
    public struct WebhookRow: Sendable {
        /// A UUID.
        public var id: String
        /// Where it is sent.
        public var url: String
        /// What it is told.
        public var subject: WebhookSubject
        /// The encrypted secret.
        public var secret: [UInt8]
        /// Since when it is in use.
        public var secretSince: Timestamp
        /// The encrypted secret before, where it still signs, and until when.
        public var oldSecret: [UInt8]?
        /// Until when the one before signs.
        public var oldSecretUntil: Timestamp?
        /// When it was added.
        public var createdAt: Timestamp
        /// By whom.
        public var createdBy: String
        /// Whether it is told anything.
        public var state: WebhookState
        /// Since when.
        public var stateSince: Timestamp
        /// Up to where in the feed it was told everything it wants.
        public var cursor: Int64
        /// How many attempts in a row failed.
        public var attempts: Int
        /// Since when no delivery gets through; `nil` while they do.
        public var failingSince: Timestamp?
        /// When it is tried again.
        public var nextTryAt: Timestamp?
        /// When something was delivered last.
        public var lastDeliveryAt: Timestamp?
        /// What went wrong last.
        public var lastError: String?
        /// When.
        public var lastErrorAt: Timestamp?
        /// The time by the database's clock.
        public var now: Timestamp
    }

    static let webhookColumns = """
        webhook_id::text AS webhook_id, url, events, push_hook, secret, secret_since,
        CASE WHEN old_secret_until > clock_timestamp() THEN old_secret END AS old_secret, old_secret_until, created_at,
        created_by, state, state_since, cursor, attempts, failing_since, next_try_at, last_delivery_at, last_error,
        last_error_at, clock_timestamp() AS now
        """

    /// Every web hook, in the order in which they were added.
    public func webhooks() async throws -> [WebhookRow] {
        try await pool.query("SELECT \(Self.webhookColumns) FROM webhooks ORDER BY created_at, webhook_id")
            .map { try $0.webhook() }
    }

    /// One web hook; `nil` where there is none of that ID.
    ///
    /// - Parameter id: a UUID.
    public func webhook(_ id: String) async throws -> WebhookRow? {
        try await pool.query(
            "SELECT \(Self.webhookColumns) FROM webhooks WHERE webhook_id = $1", [.uuid(id)]
        ).first?.webhook()
    }

    /// Adds a web hook. It is told what happens from now on, that it was added included. One of that ID stays as it is:
    /// the same form was sent twice.
    ///
    /// - Parameters:
    ///   - id: a UUID that nobody used before.
    ///   - details: what the event says of it.
    public func addWebhook(
        _ id: String, url: String, subject: WebhookSubject, secret: [UInt8], details: JSONValue,
        by origination: Origination
    ) async throws -> Outcome<Void> {
        let (events, hook): (String?, String?) =
            switch subject {
            case .events(let filter): (filter.description, nil)
            case .waiting(let name): (nil, name)
            }
        return try await pool.transaction { transaction in
            try transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended('webhooks', 0))")
            let found = try transaction.query(
                """
                SELECT count(*) AS count, coalesce(bool_or(webhook_id = $1), false) AS known,
                    coalesce(bool_or(push_hook = $2), false) AS taken FROM webhooks
                """, [.uuid(id), .text(hook)]
            ).only()
            if try found.bool("known") { return .done(()) }
            if try found.bool("taken") { return .refused(.pushHookTaken(hook ?? "")) }
            guard try found.int("count") < Self.mostWebhooks else { return .refused(.tooManyWebhooks) }
            try transaction.execute(
                """
                INSERT INTO webhooks (webhook_id, url, events, push_hook, secret, secret_since, created_at, created_by,
                    state, state_since, cursor)
                SELECT $1, $2, $3, $4, $5, now, now, $6, 'enabled', now, (SELECT position FROM event_counter)
                FROM clock_timestamp() AS now
                """,
                [
                    .uuid(id), .text(url), .text(events), .text(hook), .bytes(secret),
                    .text(origination.actor.name),
                ])
            try transaction.record(.webhookAdded, by: origination, details: details)
            return .done(())
        }
    }

    /// A change of a web hook.
    public enum WebhookChange: Sendable {
        /// Send an event of its own to it, at once.
        case test
        /// Tell it what happens, from where it was told last, or from now on.
        case enable(skipping: Bool)
        /// Tell it nothing.
        case disable
        /// Sign with this secret, encrypted, and for so long with the one before, too.
        case rotate(secret: [UInt8], overlap: Duration)
        /// Forget it.
        case remove
    }

    /// Changes a web hook. What is so already stays as it is, and is no event.
    ///
    /// - Parameters:
    ///   - id: a UUID.
    ///   - details: what the event says of it.
    /// - Returns: the position of the event; `nil` where nothing changed. Refused where there is no web hook of that ID,
    ///   or one that is to be tested is not enabled.
    public func changeWebhook(
        _ id: String, _ change: WebhookChange, details: JSONValue, by origination: Origination
    ) async throws -> Outcome<Int64?> {
        try await pool.transaction { transaction in
            let row = try transaction.query(
                "SELECT state FROM webhooks WHERE webhook_id = $1 FOR UPDATE", [.uuid(id)]
            ).first
            guard let row else { return .refused(.unknownWebhook) }
            let state = try row.parsed("state", WebhookState.init(rawValue:))
            let (event, sql): (EventName, String)
            var parameters: [PostgresValue] = [.uuid(id)]
            let afresh = "attempts = 0, failing_since = NULL, next_try_at = NULL"
            switch change {
            case .test:
                guard state == .enabled else { return .refused(.webhookNotEnabled) }
                (event, sql) = (.webhookTested, "next_try_at = NULL")
            case .enable(let skips):
                if state == .enabled { return .done(nil) }
                (event, sql) = (
                    .webhookEnabled,
                    "state = 'enabled', state_since = clock_timestamp(), \(afresh)"
                        + (skips ? ", cursor = (SELECT position FROM event_counter)" : "")
                )
            case .disable:
                if state == .disabled { return .done(nil) }
                (event, sql) = (
                    .webhookDisabled, "state = 'disabled', state_since = clock_timestamp(), \(afresh)"
                )
            case .rotate(let secret, let overlap):
                (event, sql) = (
                    .webhookSecretRotated,
                    """
                    old_secret = secret, old_secret_until = clock_timestamp() + $3 * interval '1 millisecond',
                    secret = $2, secret_since = clock_timestamp(), next_try_at = NULL
                    """
                )
                parameters += [.bytes(secret), .int64(overlap.milliseconds)]
            case .remove: (event, sql) = (.webhookRemoved, "")
            }
            try transaction.execute(
                sql.isEmpty
                    ? "DELETE FROM webhooks WHERE webhook_id = $1"
                    : "UPDATE webhooks SET \(sql) WHERE webhook_id = $1", parameters)
            try transaction.record(event, by: origination, details: details)
            return .done(try transaction.query("SELECT position FROM event_counter").only().int64("position"))
        }
    }
}

extension PostgresRow {
    func webhook() throws -> PairingStore.WebhookRow {
        let subject: PairingStore.WebhookSubject
        if let hook = try optionalText("push_hook") {
            subject = .waiting(hook)
        } else {
            subject = .events(try parsed("events", WebhookFilter.init))
        }
        return PairingStore.WebhookRow(
            id: try text("webhook_id"), url: try text("url"), subject: subject, secret: try bytes("secret"),
            secretSince: try moment("secret_since"), oldSecret: try optionalBytes("old_secret"),
            oldSecretUntil: try optionalMoment("old_secret_until"), createdAt: try moment("created_at"),
            createdBy: try text("created_by"),
            state: try parsed("state", PairingStore.WebhookState.init(rawValue:)),
            stateSince: try moment("state_since"), cursor: try int64("cursor"), attempts: try int("attempts"),
            failingSince: try optionalMoment("failing_since"), nextTryAt: try optionalMoment("next_try_at"),
            lastDeliveryAt: try optionalMoment("last_delivery_at"), lastError: try optionalText("last_error"),
            lastErrorAt: try optionalMoment("last_error_at"), now: try moment("now"))
    }
}

extension Refusal {
    /// There is no web hook of that ID.
    static let unknownWebhook = Refusal(
        .notFound, "unknown_webhook", "There is no web hook of this ID. Look at the list.")

    fileprivate static let webhookNotEnabled = Refusal(
        .failedPrecondition, "webhook_disabled", "This web hook is told nothing. Enable it first.")

    fileprivate static let tooManyWebhooks = Refusal(
        .resourceExhausted, "too_many_webhooks",
        "There are \(PairingStore.mostWebhooks) web hooks, the most there can be. Remove one first.")

    fileprivate static func pushHookTaken(_ name: String) -> Refusal {
        Refusal(
            .alreadyExists, "push_hook_taken",
            "There is a web hook for devices that wait under the name \(name). Remove it first.")
    }
}

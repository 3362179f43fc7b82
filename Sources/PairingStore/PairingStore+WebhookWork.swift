import PairingCore
import Postgres

extension PairingStore {
    /// Takes web hooks that have something to deliver, for a time: nobody else delivers to them until it is over, or
    /// ``settleWebhook(_:by:_:)`` said what came of it.
    ///
    /// - Returns: the hooks, and whether there are enabled ones at all.
    public func claimWebhooks(
        by instance: InstanceID, lease: Duration, limit: Int
    ) async throws -> (hooks: [WebhookRow], isAnyEnabled: Bool) {
        let rows = try await pool.query(
            """
            WITH due AS (
                SELECT webhook_id FROM webhooks AS w, event_counter AS c
                WHERE state = 'enabled' AND coalesce(claimed_until <= clock_timestamp(), true)
                    AND coalesce(next_try_at <= clock_timestamp(), true)
                    AND (cursor < c.position OR EXISTS (SELECT 1 FROM waiting_devices AS d
                        WHERE d.push_hook = w.push_hook AND d.due_at <= now()))
                ORDER BY claimed_until NULLS FIRST LIMIT $3 FOR UPDATE OF w SKIP LOCKED)
            UPDATE webhooks SET claimed_by = $1, claimed_until = clock_timestamp() + $2 * interval '1 millisecond'
            WHERE webhook_id IN (SELECT webhook_id FROM due) RETURNING \(Self.webhookColumns)
            """, [.uuid(instance.text), .int64(lease.milliseconds), .int(limit)]
        ).map { try $0.webhook() }
        if !rows.isEmpty { return (rows, true) }
        let any = try await pool.query(
            "SELECT EXISTS (SELECT 1 FROM webhooks WHERE state = 'enabled') AS any")
        return ([], try any.only().bool("any"))
    }

    /// What a web hook is told of the feed.
    public struct WebhookEvents: Sendable {
        /// The events, oldest first, each with its hash, where it has one.
        public var events: [(event: Event, hash: [UInt8]?)]
        /// The newest position.
        public var headPosition: Int64
        /// The hash there.
        public var head: [UInt8]
    }

    /// The events after a position, and the chain's head.
    public func webhookEvents(after position: Int64, limit: Int) async throws -> WebhookEvents {
        let rows = try await pool.query(
            """
            SELECT c.position AS head_position, c.head, e.*
            FROM event_counter AS c LEFT JOIN LATERAL (SELECT \(Columns.event), hash FROM events
                WHERE position > $1 ORDER BY position LIMIT $2) AS e ON true
            ORDER BY e.position
            """, [.int64(position), .int(limit)])
        guard let first = rows.first else { throw CorruptRow(column: "event_counter") }
        return WebhookEvents(
            events: try rows.compactMap {
                try $0.optionalInt64("position") == nil ? nil : (try $0.event(), try $0.optionalBytes("hash"))
            }, headPosition: try first.int64("head_position"), head: try first.bytes("head"))
    }

    /// What came of a round of deliveries.
    public struct WebhookRoundEnd: Sendable, Equatable {
        /// Up to where the hook was told everything.
        public var cursor: Int64
        /// Whether anything was delivered.
        public var hasDelivered: Bool
        /// How it failed; `nil` where it did not.
        public var failure: Failure?

        /// How a round failed.
        public struct Failure: Sendable, Equatable {
            /// One sentence, without secrets.
            public var message: String
            /// Whether it got further nevertheless, so that the count of failures begins anew.
            public var hasAdvanced: Bool
            /// When to try again; `nil` where the hook is told nothing any more.
            public var pause: Duration?

            /// Wraps the parts.
            public init(message: String, hasAdvanced: Bool, pause: Duration?) {
                self.message = message
                self.hasAdvanced = hasAdvanced
                self.pause = pause
            }
        }

        /// Wraps the parts.
        public init(cursor: Int64, hasDelivered: Bool, failure: Failure? = nil) {
            self.cursor = cursor
            self.hasDelivered = hasDelivered
            self.failure = failure
        }
    }

    /// Says what came of a round, and gives the hook back. Nothing is written where somebody else has taken it since, or
    /// somebody changed its state.
    ///
    /// - Parameter details: what the event says of a hook that is told nothing any more.
    public func settleWebhook(
        _ id: String, by instance: InstanceID, _ end: WebhookRoundEnd, details: JSONValue
    ) async throws {
        try await pool.transaction { transaction in
            let isDead = end.failure.map { $0.pause == nil } ?? false
            let written = try transaction.execute(
                """
                UPDATE webhooks SET claimed_by = NULL, claimed_until = NULL, cursor = greatest(cursor, $3),
                    last_delivery_at = CASE WHEN $4 THEN clock_timestamp() ELSE last_delivery_at END,
                    attempts = CASE WHEN $5::text IS NULL THEN 0 WHEN $6 THEN 1 ELSE attempts + 1 END,
                    failing_since = CASE WHEN $5 IS NULL THEN NULL WHEN $6 THEN clock_timestamp()
                        ELSE coalesce(failing_since, clock_timestamp()) END,
                    next_try_at = clock_timestamp() + $7 * interval '1 millisecond',
                    last_error = coalesce($5, last_error),
                    last_error_at = CASE WHEN $5 IS NULL THEN last_error_at ELSE clock_timestamp() END,
                    state = CASE WHEN $8 THEN 'failed' ELSE state END,
                    state_since = CASE WHEN $8 THEN clock_timestamp() ELSE state_since END
                WHERE webhook_id = $1 AND claimed_by = $2 AND state = 'enabled'
                """,
                [
                    .uuid(id), .uuid(instance.text), .int64(end.cursor), .bool(end.hasDelivered),
                    .text(end.failure?.message), .bool(end.failure?.hasAdvanced ?? false),
                    .int64(end.failure?.pause?.milliseconds), .bool(isDead),
                ])
            if written == 0 {
                try transaction.execute(
                    "UPDATE webhooks SET claimed_by = NULL, claimed_until = NULL WHERE webhook_id = $1 AND claimed_by = $2",
                    [.uuid(id), .uuid(instance.text)])
            } else if isDead {
                try transaction.record(.webhookDisabled, by: Origination(.system), details: details)
            }
        }
    }
}

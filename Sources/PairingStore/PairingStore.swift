import PairingCore
import Postgres

/// The SQL of the pairing subsystem. PostgreSQL is the only source of truth; nothing is kept here.
///
/// Every method is one transaction, and throws a `PostgresError` when it could not be carried out. What the
/// rules refuse is a value, not an error: it may have written something, such as an expiry, that stays.
///
/// Threads: any; no method blocks its caller's thread.
public struct PairingStore: Sendable {
    let pool: PostgresPool
    /// How long a batch waits for one device's lock.
    let lockWait: Duration
    /// How much of one device's may wait.
    let limits: MessageLimits

    /// Works over `pool`'s database, whose schema is ``Schema``'s.
    ///
    /// - Parameter lockWait: how long a batch waits for one device's lock before all of it fails, to be tried again
    ///   without the devices that ``lockedDevices(among:)`` names; far longer than a commit takes.
    public init(
        pool: PostgresPool, lockWait: Duration = .milliseconds(250), limits: MessageLimits = MessageLimits()
    ) {
        self.pool = pool
        self.lockWait = lockWait
        self.limits = limits
    }

    /// Whether the database answers.
    ///
    /// - Throws: within about two seconds where it doesn't.
    public func ping() async throws { try await pool.ping() }

    /// Removes what nobody needs any more: ended requests after 30 days, ended messages after `retention`, rivals,
    /// invitations and instances after 30, replaced sessions' counts and suspect calls after one, and sign-in records after a day (failures) or
    /// 400 days (places).
    ///
    /// What somebody works with at this moment stays until the next call: several gateways remove, and nobody
    /// waits for them.
    ///
    /// - Returns: how many rows went; at most `limit` of each kind a call.
    public func removeOutdated(
        limit: Int = 1000, messages retention: Duration = .seconds(7 * 86400)
    ) async throws -> Int {
        // By `now()`: an index is not searched for what is below `clock_timestamp()`, which may change meanwhile.
        let statements = [
            """
            DELETE FROM pairing_requests WHERE request_id IN (SELECT request_id FROM pairing_requests
                WHERE state <> 'pending' AND decided_at < now() - interval '30 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM messages
                WHERE done_at < now() - $2 * interval '1 millisecond' LIMIT $1
                FOR UPDATE SKIP LOCKED))
            """,
            """
            DELETE FROM rival_claims WHERE (sender_key, address_limit_key, channel) IN (
                SELECT sender_key, address_limit_key, channel FROM rival_claims
                WHERE last_at < now() - interval '30 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM replaced_sessions WHERE sender_key IN (SELECT sender_key FROM replaced_sessions
                WHERE last_at < now() - interval '1 day' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM command_calls WHERE call_id IN (SELECT call_id FROM command_calls
                WHERE called_at < now() - interval '30 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM suspect_calls WHERE call IN (SELECT call FROM suspect_calls
                WHERE last_at < now() - interval '1 day' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM instances WHERE instance_id IN (SELECT instance_id FROM instances
                WHERE lease_until < now() - interval '30 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM sign_in_failures WHERE subject IN (SELECT subject FROM sign_in_failures
                WHERE window_started_at < now() - interval '1 day' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM invitations WHERE invitation_id IN (SELECT invitation_id FROM invitations
                WHERE expires_at < now() - interval '30 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
            """
            DELETE FROM known_sign_ins WHERE (username, place) IN (SELECT username, place FROM known_sign_ins
                WHERE last_at < now() - interval '400 days' LIMIT $1
                FOR UPDATE SKIP LOCKED)
            """,
        ]
        var removed = 0
        for statement in statements {
            let parameters = [PostgresValue.int(limit), .int64(retention.milliseconds)]
            removed += try await pool.execute(
                statement, Array(parameters.prefix(statement.contains("$2") ? 2 : 1)))
        }
        return removed
    }
}

/// What came of something that the rules may refuse.
public enum Outcome<Value: Sendable>: Sendable {
    /// It was carried out and committed.
    case done(Value)
    /// The rules refused; nothing was changed but what is recorded of it.
    case refused(Refusal)
}

/// Who acts and from where, for the event feed.
public struct Origination: Sendable {
    /// Who acts, from an authenticated session (I8).
    public var actor: Actor
    /// The address the action came from, where it is known.
    public var address: ClientAddress?

    /// Wraps the two.
    public init(_ actor: Actor, address: ClientAddress? = nil) {
        self.actor = actor
        self.address = address
    }
}

extension Transaction {
    /// Serialises everything that decides about one sender ID, until the transaction ends (I2).
    func lock(_ senderID: SenderID) throws {
        try enqueue(
            "SELECT pg_advisory_xact_lock(hashtextextended('sender:' || $1, 0))", [.text(senderID.key)])
    }

    func record(
        _ event: EventName, channel: ChannelID? = nil, senderID: SenderID? = nil, by origination: Origination,
        requestID: RequestID? = nil, generation: Generation? = nil, details: JSONValue = .object([:])
    ) throws {
        try enqueue(
            "SELECT record_event($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                .text(event.rawValue), .text(channel?.text), .text(senderID?.text),
                .text(origination.actor.kind), .text(origination.actor.name), .uuid(requestID?.text),
                .int64(generation?.number), .text(origination.address?.description), .json(details.text),
            ])
    }
}

import PairingCore
import Postgres

extension PairingStore {
    /// A device that proved its credential against the pairing of `generation`, and wants a session.
    public struct Arrival: Sendable {
        /// The device's identifier.
        public var senderID: SenderID
        /// The pairing its credential was checked against.
        public var generation: Generation
        /// Where it comes from.
        public var address: ClientAddress
        /// Whether the session is given with the approval: only where the device has not connected since,
        /// for a socket that merely waited must not replace one that asked.
        public var comesWithApproval: Bool

        /// Wraps the parts.
        public init(
            senderID: SenderID, generation: Generation, address: ClientAddress,
            comesWithApproval: Bool = false
        ) {
            self.senderID = senderID
            self.generation = generation
            self.address = address
            self.comesWithApproval = comesWithApproval
        }
    }

    /// A session as the database has it now.
    public struct SessionRow: Sendable, Equatable {
        /// Names the session; not a secret.
        public var sessionID: String
        /// Its place among the device's sessions.
        public var epoch: Epoch
        /// Up to where the device has acknowledged the messages to it.
        public var acknowledged: Int64
        /// Whether messages of either direction wait for it: from now on no other session adds any.
        public var hasOpenMessages: Bool
        /// The number of the newest message to the device.
        public var newest: Int64
        /// How many sessions in a row before it ended without anybody saying so: with their process, or unseen.
        public var uncleanEnds: Int
    }

    /// A session as a gateway believes it to be.
    public struct LiveSession: Sendable, Hashable {
        /// The device's identifier.
        public var senderID: SenderID
        /// The pairing it lives by.
        public var generation: Generation
        /// Its place among the device's sessions; ``PairingCore/Epoch/none`` for what has no session and acts beside
        /// whichever there is.
        public var epoch: Epoch

        /// Wraps the parts.
        public init(senderID: SenderID, generation: Generation, epoch: Epoch) {
            self.senderID = senderID
            self.generation = generation
            self.epoch = epoch
        }
    }

    /// A session that a newer one, on another instance, replaces.
    public struct ReplacedSession: Sendable, Equatable {
        /// The device, by ``PairingCore/SenderID/key``.
        public var senderKey: String
        /// The newer session's epoch.
        public var epoch: Epoch

        /// Reads a notification of ``PairingStore/sessionsChannel``: an instance, then `key=epoch` for each
        /// session, with a space between; neither can hold a space or an equals sign.
        ///
        /// - Returns: whose sessions were replaced, and by what; `nil` for another text.
        static func parse(_ payload: String) -> (InstanceID, [ReplacedSession])? {
            let words = payload.split(separator: " ")
            guard let instance = words.first.flatMap({ InstanceID(String($0)) }) else { return nil }
            let sessions = words.dropFirst().compactMap { word -> ReplacedSession? in
                let parts = word.split(separator: "=")
                guard parts.count == 2, let epoch = Int64(parts[1]) else { return nil }
                return ReplacedSession(senderKey: String(parts[0]), epoch: Epoch(epoch))
            }
            return (instance, sessions)
        }
    }

    /// Why a session that a gateway holds is not one any more.
    public enum SessionEnd: Sendable, Hashable {
        /// The pairing it lived by was revoked.
        case revoked
        /// A newer session of the device exists.
        case replaced
    }

    /// Registers a gateway, before its first session.
    public func register(_ instanceID: InstanceID, name: String, lease: Duration) async throws {
        try await pool.execute(
            """
            INSERT INTO instances (instance_id, name, started_at, lease_until)
            VALUES ($1, $2, clock_timestamp(), clock_timestamp() + $3 * interval '1 millisecond')
            ON CONFLICT (instance_id) DO UPDATE SET lease_until = excluded.lease_until
            """, [.uuid(instanceID.text), .text(name), .int64(lease.milliseconds)])
    }

    /// Gives sessions to devices that arrived together, each if its pairing is still of that generation.
    ///
    /// Locks the devices' rows in the order of their sender IDs, so a revocation is either seen here or waits
    /// and then sees the session (I3). Gateways that held an older session get one notification a batch.
    ///
    /// - Parameter arrivals: no two of one sender ID.
    /// - Returns: for each arrival its session, or `nil` where the pairing has ended, or where a session that
    ///   comes with the approval comes too late.
    public func beginSessions(_ arrivals: [Arrival], on instanceID: InstanceID) async throws -> [SessionRow?]
    {
        try await pool.transaction { transaction in
            // The insertion is a statement of its own behind the locks, so that it sees what they waited for; both go
            // in one round trip.
            let (current, answers) = try transaction.lockStreams(
                arrivals.map(\.senderID), waiting: lockWait,
                then: [
                    (
                        """
                        WITH arrival AS MATERIALIZED (
                            SELECT a.*, s.instance_id AS previous
                            FROM unnest($1::text[], $2::bigint[], $3::text[], $5::boolean[])
                                AS a (sender_key, generation, address, comes_with_approval)
                            JOIN LATERAL (SELECT generation, active FROM device_streams
                                WHERE sender_key = a.sender_key LIMIT 1) AS d
                                ON d.active AND d.generation = a.generation
                            LEFT JOIN LATERAL (SELECT generation, instance_id FROM device_sessions
                                WHERE sender_key = a.sender_key LIMIT 1) AS s ON true
                            WHERE NOT comes_with_approval OR s.generation IS DISTINCT FROM a.generation
                        )
                        INSERT INTO device_sessions AS s (sender_key, epoch, generation, session_id, instance_id,
                            address, connected_at, last_seen_at)
                        SELECT sender_key, 1, generation, gen_random_uuid(), $4, address, clock_timestamp(),
                            clock_timestamp()
                        FROM arrival ORDER BY sender_key
                        ON CONFLICT (sender_key) DO UPDATE SET epoch = s.epoch + 1,
                            generation = excluded.generation, session_id = excluded.session_id,
                            instance_id = excluded.instance_id, address = excluded.address,
                            connected_at = excluded.connected_at, last_seen_at = excluded.last_seen_at,
                            in_background = false,
                            unclean_ends = CASE WHEN s.instance_id <> excluded.instance_id
                                THEN least(s.unclean_ends, 1000000) + 1 ELSE s.unclean_ends END
                        RETURNING s.sender_key, s.epoch, s.session_id::text AS session_id, s.unclean_ends,
                            (SELECT previous::text FROM arrival a WHERE a.sender_key = s.sender_key) AS replaced
                        """,
                        [
                            .texts(arrivals.map(\.senderID.key)), .int64s(arrivals.map(\.generation.number)),
                            .texts(arrivals.map(\.address.description)), .uuid(instanceID.text),
                            .bools(arrivals.map(\.comesWithApproval)),
                        ]
                    )
                ])
            let rows = answers[0]
            var sessions: [String: SessionRow] = [:]
            var replaced: [String: [ReplacedSession]] = [:]
            for row in rows {
                let key = try row.text("sender_key")
                let epoch = try row.int64("epoch")
                sessions[key] = SessionRow(
                    sessionID: try row.text("session_id"), epoch: Epoch(epoch),
                    acknowledged: current[key]?.acknowledgedOut ?? 0,
                    hasOpenMessages: current[key]?.hasOpenMessages ?? false,
                    newest: (current[key]?.nextOut ?? 1) - 1, uncleanEnds: try row.int("unclean_ends"))
                if let other = try row.optionalText("replaced"), other != instanceID.text {
                    replaced[other, default: []].append(ReplacedSession(senderKey: key, epoch: Epoch(epoch)))
                }
            }
            try transaction.notify(replaced)
            return arrivals.map { sessions[$0.senderID.key] }
        }
    }

    /// Marks sessions as ended, unless a newer one of the device exists.
    ///
    /// - Parameter unproven: those of them of which it is not known yet whether a message of theirs ends the process:
    ///   what was suspected of them is suspected of the next.
    public func endSessions(
        _ ended: [LiveSession], on instanceID: InstanceID, unproven: Set<LiveSession> = []
    ) async throws {
        try await pool.execute(
            """
            UPDATE device_sessions s SET instance_id = NULL, last_seen_at = clock_timestamp(),
                unclean_ends = CASE WHEN sender_key || '/' || epoch::text = ANY($4) THEN s.unclean_ends ELSE 0 END
            WHERE sender_key = ANY(ARRAY(SELECT sender_key FROM device_sessions
                WHERE sender_key = ANY($1) AND instance_id IS NOT DISTINCT FROM $3
                    AND sender_key || '/' || epoch::text = ANY($2)
                ORDER BY sender_key FOR UPDATE))
            """,
            [
                .texts(ended.map(\.senderID.key)), .texts(ended.map(\.place)), .uuid(instanceID.text),
                .texts(unproven.map(\.place)),
            ])
    }

    /// Renews a gateway's lease and compares its sessions with the database.
    ///
    /// - Returns: those that are sessions no more, and why.
    public func reconcile(
        _ live: [LiveSession], on instanceID: InstanceID, name: String, lease: Duration
    ) async throws -> [LiveSession: SessionEnd] {
        try await register(instanceID, name: name, lease: lease)
        var ends: [LiveSession: SessionEnd] = [:]
        var rest = live[...]
        while !rest.isEmpty {
            let chunk = Array(rest.prefix(2000))
            rest = rest.dropFirst(2000)
            let rows = try await pool.query(
                """
                SELECT ordinality, (d.active AND d.generation = l.generation) IS NOT TRUE AS revoked
                FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
                    AS l (sender_key, generation, epoch, ordinality)
                LEFT JOIN LATERAL (SELECT generation, active FROM device_streams
                    WHERE sender_key = l.sender_key LIMIT 1) AS d ON true
                LEFT JOIN LATERAL (SELECT epoch FROM device_sessions
                    WHERE sender_key = l.sender_key LIMIT 1) AS s ON true
                WHERE (d.active AND d.generation = l.generation AND s.epoch = l.epoch) IS NOT TRUE
                """,
                [
                    .texts(chunk.map(\.senderID.key)), .int64s(chunk.map(\.generation.number)),
                    .int64s(chunk.map(\.epoch.number)),
                ])
            for row in rows {
                ends[chunk[try row.int("ordinality") - 1]] = try row.bool("revoked") ? .revoked : .replaced
            }
        }
        return ends
    }

    /// Which sessions were not handed everything that is stored for their devices.
    ///
    /// - Parameter sessions: with the numbers up to which they were.
    public func sessionsBehind(
        _ sessions: [(session: LiveSession, delivered: Int64)]
    ) async throws -> [LiveSession] {
        var behind: [LiveSession] = []
        var rest = sessions[...]
        while !rest.isEmpty {
            let chunk = Array(rest.prefix(2000))
            rest = rest.dropFirst(2000)
            behind += try await pool.query(
                """
                SELECT ordinality FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
                    AS l (sender_key, generation, delivered, ordinality), LATERAL (
                    SELECT generation, next_out FROM device_streams WHERE sender_key = l.sender_key LIMIT 1) AS d
                WHERE d.generation = l.generation AND d.next_out - 1 > l.delivered
                """,
                [
                    .texts(chunk.map(\.session.senderID.key)),
                    .int64s(chunk.map(\.session.generation.number)), .int64s(chunk.map(\.delivered)),
                ]
            ).map { chunk[try $0.int("ordinality") - 1].session }
        }
        return behind
    }

    /// Ends a gateway's lease at its stop: its devices no longer count as connected.
    public func retire(_ instanceID: InstanceID) async throws {
        try await pool.transaction { transaction in
            try transaction.enqueue(
                """
                UPDATE device_sessions s SET instance_id = NULL, last_seen_at = clock_timestamp()
                FROM (SELECT sender_key FROM device_sessions WHERE instance_id = $1
                    ORDER BY sender_key FOR UPDATE) AS locked
                WHERE s.sender_key = locked.sender_key
                """, [.uuid(instanceID.text)])
            try transaction.enqueue(
                "UPDATE instances SET lease_until = clock_timestamp() WHERE instance_id = $1",
                [.uuid(instanceID.text)])
        }
    }
}

extension PairingStore.LiveSession {
    /// What tells it from every other one, in a comparison with `device_sessions`.
    fileprivate var place: String { "\(senderID.key)/\(epoch.number)" }
}

extension Transaction {
    /// Tells gateways which of their sessions were replaced; a payload stays under PostgreSQL's 8,000 bytes.
    fileprivate func notify(_ replaced: [String: [PairingStore.ReplacedSession]]) throws {
        for (instance, sessions) in replaced {
            var rest = sessions[...]
            while !rest.isEmpty {
                let payload = ([instance] + rest.prefix(40).map { "\($0.senderKey)=\($0.epoch)" })
                    .joined(separator: " ")
                try enqueue(
                    "SELECT pg_notify($1, $2)", [.text(PairingStore.sessionsChannel), .text(payload)])
                rest = rest.dropFirst(40)
            }
        }
    }
}

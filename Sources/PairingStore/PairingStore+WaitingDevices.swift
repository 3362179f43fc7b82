import PairingCore
import Postgres

extension PairingStore {
    /// A device for which a message was stored, taken for a time.
    public struct WaitingDevice: Sendable, Equatable {
        /// The device.
        public var sender: PairedSender
        /// Its channel; `nil` where its pairing has ended.
        public var channel: ChannelID?
        /// The number of its newest message.
        public var newest: Int64
        /// The number up to which it has acknowledged.
        public var acknowledged: Int64
        /// Up to which message somebody was told.
        public var told: Int64
        /// Whether it is connected, and not in the background.
        public var isConnected: Bool
        /// What tells this taking from what happens later.
        public var ticket: Timestamp
    }

    /// What comes next for a waiting device.
    public enum WaitingStep: Sendable, Equatable {
        /// Nothing waits.
        case forget
        /// Somebody was told up to this message.
        case told(Int64)
        /// Look again after that time.
        case look(Duration)
    }

    /// Keeps under which names channels ask for somebody to be told of devices that are away.
    public func keepPushHooks(_ names: [ChannelID: String]) async throws {
        if names.isEmpty { return }
        _ = try await pool.query(
            """
            INSERT INTO push_hooks AS h (channel, hook) SELECT * FROM unnest($1::text[], $2::text[])
            ON CONFLICT (channel) DO UPDATE SET hook = excluded.hook WHERE h.hook <> excluded.hook
            """, [.texts(names.keys.map(\.text)), .texts(Array(names.values))])
    }

    /// Those names, in order.
    public func pushHooks() async throws -> [String] {
        try await pool.query("SELECT DISTINCT hook FROM push_hooks ORDER BY hook").map { try $0.text("hook") }
    }

    /// Takes devices whose time has come, oldest first; what is not settled within `lease` is taken again.
    public func takeWaitingDevices(
        for pushHook: String, lease: Duration, limit: Int
    ) async throws -> [WaitingDevice] {
        try await pool.query(
            """
            WITH due AS (
                SELECT sender_key FROM waiting_devices WHERE push_hook = $1 AND due_at <= now()
                ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED),
            taken AS (
                UPDATE waiting_devices AS w
                SET due_at = date_trunc('milliseconds', clock_timestamp() + $2 * interval '1 millisecond')
                FROM due WHERE w.sender_key = due.sender_key RETURNING w.*)
            SELECT t.sender_key, coalesce(d.sender_id, t.sender_key) AS sender_id, t.generation, d.channel, t.told,
                t.due_at, coalesce(s.next_out - 1, 0) AS newest, coalesce(s.acknowledged_out, 0) AS acknowledged,
                EXISTS (SELECT 1 FROM device_sessions AS l JOIN instances AS i USING (instance_id)
                    WHERE l.sender_key = t.sender_key AND i.lease_until > clock_timestamp()
                        AND NOT l.in_background) AS connected
            FROM taken AS t
            LEFT JOIN paired_devices AS d ON d.sender_key = t.sender_key AND d.generation = t.generation
                AND d.state = 'active'
            LEFT JOIN device_streams AS s ON s.sender_key = t.sender_key AND s.generation = t.generation
            """, [.text(pushHook), .int64(lease.milliseconds), .int(limit)]
        ).map { row in
            let channel = try row.optionalText("channel").flatMap(ChannelID.init)
            return WaitingDevice(
                sender: PairedSender(
                    senderID: try row.senderID(), generation: Generation(try row.int64("generation"))),
                channel: channel,
                // For one whose pairing has ended nothing waits.
                newest: channel == nil ? 0 : try row.int64("newest"),
                acknowledged: try row.int64("acknowledged"), told: try row.int64("told"),
                isConnected: try row.bool("connected"), ticket: try row.moment("due_at"))
        }
    }

    /// Says what comes next for devices that were taken. Where a message was stored meanwhile, it is looked at then.
    public func settleWaitingDevices(_ steps: [(device: WaitingDevice, step: WaitingStep)]) async throws {
        if steps.isEmpty { return }
        let forgotten = steps.filter { $0.step == .forget }.map(\.device)
        let told = steps.compactMap { step -> (WaitingDevice, Int64)? in
            if case .told(let number) = step.step { (step.device, number) } else { nil }
        }
        let later = steps.compactMap { step -> (WaitingDevice, Duration)? in
            if case .look(let pause) = step.step { (step.device, pause) } else { nil }
        }
        @Sendable func keys(_ devices: [WaitingDevice]) -> [PostgresValue] {
            [
                .texts(devices.map(\.sender.senderID.key)), .int64s(devices.map(\.sender.generation.number)),
                .timestamps(milliseconds: devices.map(\.ticket.milliseconds)),
            ]
        }
        let matching = "w.sender_key = a.key AND w.generation = a.generation"
        try await pool.transaction { transaction in
            if !forgotten.isEmpty {
                try transaction.execute(
                    """
                    DELETE FROM waiting_devices AS w USING unnest($1::text[], $2::bigint[], $3::timestamptz[])
                        AS a (key, generation, ticket) WHERE \(matching) AND w.due_at = a.ticket
                    """, keys(forgotten))
            }
            if !told.isEmpty {
                try transaction.execute(
                    """
                    UPDATE waiting_devices AS w SET told = greatest(w.told, a.told),
                        due_at = CASE WHEN w.due_at = a.ticket THEN NULL ELSE w.due_at END
                    FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[])
                        AS a (key, generation, ticket, told) WHERE \(matching)
                    """, keys(told.map(\.0)) + [.int64s(told.map(\.1))])
            }
            if !later.isEmpty {
                try transaction.execute(
                    """
                    UPDATE waiting_devices AS w SET due_at = clock_timestamp() + a.pause * interval '1 millisecond'
                    FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[])
                        AS a (key, generation, ticket, pause) WHERE \(matching) AND w.due_at = a.ticket
                    """, keys(later.map(\.0)) + [.int64s(later.map(\.1.milliseconds))])
            }
        }
    }
}

extension Transaction {
    /// How long a connected device has to acknowledge a message before anybody is told that it waits.
    private static let grace = Duration.seconds(5)

    /// Has somebody told that messages wait for these devices, where their channels give a name for it and there is a web
    /// hook of that name.
    ///
    /// - Parameter connected: those that have a session: they have a moment to acknowledge.
    func noteWaiting(_ keys: some Collection<String>, connected: Set<String>) throws {
        if keys.isEmpty { return }
        let keys = Array(keys)
        try enqueue(
            """
            INSERT INTO waiting_devices AS w (sender_key, generation, push_hook, due_at)
            SELECT d.sender_key, d.generation, h.hook, clock_timestamp() + CASE
                -- One in the background reads nothing.
                WHEN EXISTS (SELECT 1 FROM device_sessions WHERE sender_key = a.key AND in_background) THEN 0
                ELSE a.grace END * interval '1 millisecond'
            FROM unnest($1::text[], $2::bigint[]) AS a (key, grace), LATERAL (
                SELECT p.sender_key, p.generation, p.channel FROM device_streams AS s
                JOIN paired_devices AS p ON p.sender_key = s.sender_key AND p.generation = s.generation
                WHERE s.sender_key = a.key LIMIT 1) AS d
            JOIN push_hooks AS h ON h.channel = d.channel
            -- Where there is no such web hook at all, nothing else is looked at.
            WHERE (SELECT EXISTS (SELECT 1 FROM webhooks WHERE push_hook IS NOT NULL AND state = 'enabled'))
                AND EXISTS (SELECT 1 FROM webhooks WHERE push_hook = h.hook AND state = 'enabled')
            ON CONFLICT (sender_key) DO UPDATE SET
                due_at = CASE WHEN w.generation = excluded.generation THEN least(w.due_at, excluded.due_at)
                    ELSE excluded.due_at END,
                told = CASE WHEN w.generation = excluded.generation THEN w.told ELSE 0 END,
                generation = excluded.generation, push_hook = excluded.push_hook
            """,
            [.texts(keys), .int64s(keys.map { connected.contains($0) ? Self.grace.milliseconds : 0 })])
    }
}

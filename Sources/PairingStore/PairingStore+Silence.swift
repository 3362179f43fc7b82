import PairingCore
import Postgres

extension PairingStore {
    /// A device whose silence is to be looked at, taken for a time.
    public struct SilentDevice: Sendable, Equatable {
        /// Whose silence.
        public var sender: PairedSender
        /// The device's channel.
        public var channel: ChannelID
        /// Who answers it by an administrator's choice; `nil` where nobody chose.
        public var agent: String?
        /// How many of the channel's periods its agent knows to have passed.
        public var told: Int
        /// After which silences its agent is told, where its channel said so of this device; else `nil`.
        public var periods: [Duration]?
        /// When its last message came; where it never sent one, when it was paired.
        public var lastAt: Timestamp
        /// How long ago that was by the database's clock.
        public var silence: Duration
    }

    /// Takes devices whose time has come; whoever takes them says within `lease` what came of it, or others take them.
    ///
    /// - Parameter channels: those that want to know of silence.
    public func takeSilent(
        of channels: [ChannelID], limit: Int = 64, lease: Duration = .seconds(60)
    ) async throws -> [SilentDevice] {
        let rows = try await pool.query(
            """
            WITH due AS (
                SELECT sender_key FROM device_silence WHERE due_at <= now() ORDER BY due_at LIMIT $1
                FOR UPDATE SKIP LOCKED),
            taken AS (
                UPDATE device_silence AS s SET
                    due_at = CASE WHEN channel = ANY($3) AND EXISTS (SELECT 1 FROM paired_devices AS d
                            WHERE d.sender_key = s.sender_key AND d.generation = s.generation AND d.state = 'active')
                        THEN clock_timestamp() + $2 * interval '1 millisecond' END
                FROM due WHERE s.sender_key = due.sender_key
                RETURNING s.*)
            SELECT d.sender_id, t.generation, d.channel, t.told, t.periods::text[] AS periods, m.last_at, d.agents[1] AS agent,
                (extract(epoch FROM clock_timestamp() - m.last_at) * 1000)::bigint AS silence
            FROM taken AS t
            JOIN paired_devices AS d ON d.sender_key = t.sender_key AND d.generation = t.generation,
            LATERAL (SELECT coalesce((SELECT created_at FROM messages
                WHERE sender_key = t.sender_key AND generation = t.generation AND direction = 'in'
                ORDER BY sequence DESC LIMIT 1), d.paired_at) AS last_at) AS m
            WHERE t.due_at IS NOT NULL
            """,
            [.int(limit), .int64(lease.milliseconds), .texts(channels.map(\.text))])
        return try rows.map { row in
            SilentDevice(
                sender: PairedSender(
                    senderID: try row.senderID(), generation: Generation(try row.int64("generation"))),
                channel: try row.channel(), agent: try row.optionalText("agent"), told: try row.int("told"),
                periods: try row.optionalTexts("periods")?.compactMap { Int64($0).map { .milliseconds($0) } },
                lastAt: try row.moment("last_at"),
                silence: .milliseconds(try row.int64("silence")))
        }
    }

    /// Says what a device's agent knows, and when to look again.
    public func settleSilence(
        of devices: [(sender: PairedSender, told: Int, pause: Duration)]
    ) async throws {
        if devices.isEmpty { return }
        _ = try await pool.query(
            """
            UPDATE device_silence AS s SET told = a.told, due_at = clock_timestamp() + a.pause * interval '1 millisecond'
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS a (key, generation, told, pause)
            WHERE s.sender_key = a.key AND s.generation = a.generation
            """,
            [
                .texts(devices.map(\.sender.senderID.key)), .int64s(devices.map(\.sender.generation.number)),
                .int64s(devices.map { Int64($0.told) }), .int64s(devices.map(\.pause.milliseconds)),
            ])
    }

    /// Has devices of these channels looked at that had no time: their channel did not want to know of silence before.
    public func wakeSilent(of channels: [ChannelID]) async throws {
        _ = try await pool.query(
            """
            UPDATE device_silence SET due_at = clock_timestamp() WHERE due_at IS NULL AND channel = ANY($1)
                AND EXISTS (SELECT 1 FROM paired_devices AS d WHERE d.sender_key = device_silence.sender_key
                    AND d.generation = device_silence.generation AND d.state = 'active')
            """, [.texts(channels.map(\.text))])
    }
}

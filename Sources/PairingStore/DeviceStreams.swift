import PairingCore
import Postgres

/// A row of `device_streams`, held until the transaction ends.
struct Stream {
    var generation: Generation
    var active: Bool
    /// The newest session's, where it was asked for.
    var epoch: Epoch?
    var nextIn: Int64
    var nextOut: Int64
    var acknowledgedOut: Int64
    /// How many messages from the device wait for an answer, and their bytes.
    var unanswered: Int64
    var unansweredBytes: Int64
    /// The bytes of the messages to the device that it has not acknowledged.
    var unacknowledgedBytes: Int64
    /// Which instance works on the messages from the device; `nil` where none does.
    var claimedBy: InstanceID?
    /// For how long it does from now on, or since when it does not; `nil` where there is nothing to do.
    var claimLeft: Duration?
    /// Who answers the device; empty where that is left to its channel.
    var agents: [String] = []
    /// The commands that administrators switched off.
    var commandsOff: [String] = []
    /// A change of the claim that has yet to be written.
    private(set) var claimChange: ClaimChange?

    /// What becomes of a claim.
    enum ClaimChange {
        case claim(InstanceID, Duration)
        /// Whoever looks may take it.
        case offer
    }

    /// Whether messages of either direction wait.
    var hasOpenMessages: Bool { unanswered > 0 || acknowledgedOut < nextOut - 1 }

    /// Whether an answer would have the device carry out what an administrator switched off.
    func holdsSwitchedOff(_ replies: [PairingStore.AgentReply]) -> Bool {
        !commandsOff.isEmpty
            && replies.contains { DeviceCommand.name(in: $0.body).map(isSwitchedOff) ?? false }
    }

    /// Whether an administrator switched a command off: in whatever case a device may read its name.
    func isSwitchedOff(_ command: String) -> Bool {
        let name = DeviceCommand.folded(command)
        return commandsOff.contains { DeviceCommand.folded($0) == name }
    }

    /// Why the session may act no more; `nil` while it may.
    func refusal(of session: PairingStore.LiveSession) -> Refusal? {
        guard active, generation == session.generation else { return .pairingEnded }
        return session.epoch == .none || epoch == session.epoch ? nil : .sessionEnded
    }

    /// Why a message may not be accepted on top of what waits; `nil` where it may.
    func refusal(of message: PairingStore.InboundMessage, _ limits: MessageLimits) -> Refusal? {
        guard unacknowledged < limits.unacknowledged else { return .unacknowledged(limits) }
        guard unacknowledgedBytes < limits.unacknowledgedBytes else { return .unacknowledgedBytes(limits) }
        if message.forwarded.isEmpty { return nil }
        guard unanswered < limits.unanswered else { return .unanswered(limits) }
        // One message always fits.
        let bytes = unanswered == 0 ? 0 : unansweredBytes + message.storedBytes
        return bytes <= limits.unansweredBytes ? nil : .unansweredBytes(limits)
    }

    /// How many messages wait for the device's acknowledgement, at most: some of these numbers may be settled.
    var unacknowledged: Int64 { nextOut - 1 - acknowledgedOut }

    /// By how much what waits for the device is too much; the newest message always fits. What waited for an answer when
    /// the device was full is answered after all.
    func excess(over limits: MessageLimits) -> (messages: Int64, bytes: Int64)? {
        let messages = max(0, unacknowledged - limits.unacknowledged - limits.unanswered)
        let bytes = max(0, unacknowledgedBytes - limits.unacknowledgedBytes - limits.unansweredBytes)
        return messages > 0 || bytes > 0 ? (messages, bytes) : nil
    }

    /// Who answers a message where its channel names nobody; empty for the channel's agent.
    ///
    /// - Returns: the refusal of a message that names an agent which no administrator chose for the device.
    func agent(of message: PairingStore.InboundMessage) -> Result<String, Refusal> {
        guard let named = message.agent else { return .success(agents.first ?? "") }
        let isAllowed = agents.isEmpty ? named.answersChannel : agents.contains(named.name)
        return isAllowed ? .success(named.name) : .failure(.agentNotAllowed(named.name, agents))
    }

    /// Why no other message may be pushed to the device; `nil` where one may.
    func refusal(ofPushing bytes: Int, _ limits: MessageLimits) -> Refusal? {
        guard unacknowledged < limits.unacknowledged,
            unacknowledgedBytes == 0 || unacknowledgedBytes + Int64(bytes) <= limits.unacknowledgedBytes
        else { return .deviceFull }
        return nil
    }

    /// A message of the device has an answer.
    mutating func answered(bytes: Int64) {
        // Never below nothing, should a program of an older version have stored messages without counting them.
        unanswered = max(0, unanswered - 1)
        unansweredBytes = max(0, unansweredBytes - bytes)
    }

    /// Whether nobody but this instance works on the device's messages.
    func isFree(for instance: InstanceID) -> Bool {
        unanswered == 0 || claimedBy == nil || claimedBy == instance || (claimLeft ?? .zero) <= .zero
    }

    /// The instance works on the device's messages. Written once in a while only: what has just been renewed is left
    /// as it is.
    mutating func claim(for instance: InstanceID, lease: Duration) {
        guard claimedBy != instance || (claimLeft ?? .zero) < lease / 2 else { return }
        claimedBy = instance
        claimLeft = lease
        claimChange = .claim(instance, lease)
    }

    /// Nobody works on the device's messages: whoever looks may.
    mutating func offer() {
        claimedBy = nil
        claimLeft = .zero
        claimChange = .offer
    }

    /// Messages to the device are settled.
    mutating func settled(bytes: Int64) { unacknowledgedBytes = max(0, unacknowledgedBytes - bytes) }
}

extension Refusal {
    fileprivate static func unacknowledged(_ limits: MessageLimits) -> Refusal {
        Refusal(
            .unacknowledged,
            "\(limits.unacknowledged) messages wait for this device's message.ack. Acknowledge them before sending "
                + "more.")
    }

    fileprivate static func unacknowledgedBytes(_ limits: MessageLimits) -> Refusal {
        Refusal(
            .unacknowledgedBytes,
            "Messages of \(limits.unacknowledgedBytes >> 20) MiB wait for this device's message.ack. Acknowledge them "
                + "before sending more.")
    }

    fileprivate static func agentNotAllowed(_ name: String, _ allowed: [String]) -> Refusal {
        Refusal(
            .agentNotAllowed,
            "No administrator chose the agent “\(name)” for this device. "
                + (allowed.isEmpty
                    ? "Leave `agent` out, or ask one to."
                    : "It may name \(allowed.joined(separator: ", ")), or none."),
            details: ["agents": .array(allowed.map(JSONValue.string))])
    }

    fileprivate static let deviceFull = Refusal(.deviceFull)

    fileprivate static func unanswered(_ limits: MessageLimits) -> Refusal {
        Refusal(
            .unanswered,
            "\(limits.unanswered) messages of this device wait for an answer. Wait before sending more.")
    }

    fileprivate static func unansweredBytes(_ limits: MessageLimits) -> Refusal {
        Refusal(
            .unansweredBytes,
            "With this one, messages of more than \(limits.unansweredBytes >> 20) MiB would wait for an answer. Wait "
                + "before sending more.")
    }
}

extension PairingStore {
    /// Which of the devices somebody else has locked at this moment. Waits for nobody.
    public func lockedDevices(among keys: [String]) async throws -> Set<String> {
        try await pool.transaction { transaction in
            let answers = try transaction.query([
                ("SELECT sender_key FROM device_streams WHERE sender_key = ANY($1)", [.texts(keys)]),
                (
                    "SELECT sender_key FROM device_streams WHERE sender_key = ANY($1) FOR UPDATE SKIP LOCKED",
                    [.texts(keys)]
                ),
            ])
            let free = Set(try answers[1].map { try $0.text("sender_key") })
            return Set(try answers[0].map { try $0.text("sender_key") }).subtracting(free)
        }
    }
}

extension Transaction {
    /// Keeps a pairing from being ended before this transaction is (I3), without holding up others that do the same.
    ///
    /// - Throws: ``Refusal/pairingEnded`` where it has ended.
    func holdPairing(of sender: PairingStore.PairedSender) throws {
        let rows = try query(
            "SELECT 1 AS one FROM device_streams WHERE sender_key = $1 AND generation = $2 AND active FOR SHARE",
            [.text(sender.senderID.key), .int64(sender.generation.number)])
        if rows.isEmpty { throw Refusal.pairingEnded }
    }

    /// Locks the devices' rows in the order of their keys, so that batches cannot deadlock.
    func lockStreams(_ senderIDs: [SenderID], waiting limit: Duration? = nil) throws -> [String: Stream] {
        try lockStreams(senderIDs, waiting: limit, then: []).streams
    }

    /// As ``lockStreams(_:waiting:)``, with statements that run under the locks, in the same round trip.
    ///
    /// - Returns: the rows by key, and the statements' answers.
    func lockStreams(
        _ senderIDs: [SenderID], waiting limit: Duration?,
        then statements: [(sql: String, parameters: [PostgresValue])]
    ) throws -> (streams: [String: Stream], answers: [PostgresRows]) {
        try limitLockWait(limit)
        let answers = try query([(Self.lockStreams, [.texts(senderIDs.map(\.key))])] + statements)
        return (try streams(answers[0]), Array(answers.dropFirst()))
    }

    /// Locks the devices' rows, with the epochs of their newest sessions: a newer one can't begin meanwhile.
    ///
    /// - Parameters:
    ///   - limit: how long each lock is waited for; `nil` for the connection's own limit.
    ///   - questions: what is read under the locks, in the same round trip.
    /// - Returns: the rows by key, and the answers to the questions.
    func lockStreams(
        of sessions: [PairingStore.LiveSession], waiting limit: Duration? = nil,
        then questions: [(sql: String, parameters: [PostgresValue])] = []
    ) throws -> (streams: [String: Stream], answers: [PostgresRows]) {
        try limitLockWait(limit)
        let keys = PostgresValue.texts(sessions.map(\.senderID.key))
        // All in statements of their own: one that waited for the locks would still see what was at its start.
        let answers = try query(
            [
                (Self.lockStreams, [keys]),
                ("SELECT sender_key, epoch FROM device_sessions WHERE sender_key = ANY($1)", [keys]),
            ] + questions)
        var streams = try streams(answers[0])
        for row in answers[1] { streams[try row.text("sender_key")]?.epoch = Epoch(try row.int64("epoch")) }
        return (streams, Array(answers.dropFirst(2)))
    }

    /// Locks those of the devices' rows that nobody else has locked.
    ///
    /// - Parameter questions: what is read under the locks, in the same round trip.
    /// - Returns: the rows by key, and the answers to the questions.
    func lockFreeStreams(
        _ keys: [String], then questions: [(sql: String, parameters: [PostgresValue])]
    ) throws -> (streams: [String: Stream], answers: [PostgresRows]) {
        let answers = try query([(Self.lockStreams + " SKIP LOCKED", [.texts(keys)])] + questions)
        return (try streams(answers[0]), Array(answers.dropFirst()))
    }

    /// The columns of ``Stream``.
    static let streamColumns = """
        sender_key, generation, active, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
        unacknowledged_bytes, claimed_by::text AS claimed_by,
        (extract(epoch FROM claimed_until - clock_timestamp()) * 1000)::bigint AS claim_left, agents,
        commands_off
        """

    private static let lockStreams = """
        SELECT \(streamColumns)
        FROM device_streams WHERE sender_key = ANY($1) ORDER BY sender_key FOR UPDATE
        """

    private func limitLockWait(_ limit: Duration?) throws {
        guard let limit else { return }
        let (seconds, attoseconds) = limit.components
        try enqueue(
            "SELECT set_config('lock_timeout', $1, true)",
            [.text("\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms")])
    }

    func streams(_ rows: PostgresRows) throws -> [String: Stream] {
        Dictionary(
            try rows.map {
                (
                    try $0.text("sender_key"),
                    Stream(
                        generation: Generation(try $0.int64("generation")), active: try $0.bool("active"),
                        nextIn: try $0.int64("next_in"), nextOut: try $0.int64("next_out"),
                        acknowledgedOut: try $0.int64("acknowledged_out"),
                        unanswered: try $0.int64("unanswered"),
                        unansweredBytes: try $0.int64("unanswered_bytes"),
                        unacknowledgedBytes: try $0.int64("unacknowledged_bytes"),
                        claimedBy: try $0.optionalText("claimed_by").flatMap { InstanceID($0) },
                        claimLeft: try $0.optionalInt64("claim_left").map { .milliseconds($0) },
                        agents: try $0.optionalTexts("agents") ?? [],
                        commandsOff: try $0.optionalTexts("commands_off") ?? [])
                )
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes what has changed of rows that this transaction has locked.
    ///
    /// As an insertion that always conflicts: that finds the rows by the key's index without a plan that could be
    /// another one.
    func write(_ streams: [String: Stream], of keys: Set<String>) throws {
        let rows = keys.compactMap { key in streams[key].map { (key: key, stream: $0) } }
        if rows.isEmpty { return }
        try enqueue(
            """
            INSERT INTO device_streams AS d (sender_key, generation, active, next_in, next_out, acknowledged_out,
                unanswered, unanswered_bytes, unacknowledged_bytes, claimed_by, claimed_until)
            SELECT sender_key, generation, true, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
                unacknowledged_bytes, claimed_by::uuid, clock_timestamp() + lease * interval '1 millisecond'
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::bigint[], $9::text[], $10::bigint[])
                AS a (sender_key, generation, next_in, next_out, acknowledged_out, unanswered, unanswered_bytes,
                unacknowledged_bytes, claimed_by, lease)
            ON CONFLICT (sender_key) DO UPDATE SET next_in = excluded.next_in, next_out = excluded.next_out,
                acknowledged_out = excluded.acknowledged_out, unanswered = excluded.unanswered,
                unanswered_bytes = excluded.unanswered_bytes,
                unacknowledged_bytes = excluded.unacknowledged_bytes,
                claimed_by = CASE WHEN excluded.claimed_until IS NULL THEN d.claimed_by
                    ELSE excluded.claimed_by END,
                claimed_until = coalesce(excluded.claimed_until, d.claimed_until)
            """,
            [
                .texts(rows.map(\.key)), .int64s(rows.map(\.stream.generation.number)),
                .int64s(rows.map(\.stream.nextIn)), .int64s(rows.map(\.stream.nextOut)),
                .int64s(rows.map(\.stream.acknowledgedOut)), .int64s(rows.map(\.stream.unanswered)),
                .int64s(rows.map(\.stream.unansweredBytes)), .int64s(rows.map(\.stream.unacknowledgedBytes)),
                .texts(rows.map { $0.stream.claimChange?.instance }),
                .int64s(rows.map { $0.stream.claimChange?.milliseconds }),
            ])
    }
}

extension Stream.ClaimChange {
    fileprivate var instance: String? {
        if case .claim(let instance, _) = self { instance.text } else { nil }
    }

    fileprivate var milliseconds: Int64 {
        if case .claim(_, let lease) = self { lease.milliseconds } else { 0 }
    }
}

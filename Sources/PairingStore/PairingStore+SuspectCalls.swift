import PairingCore
import Postgres

extension PairingStore {
    /// A call into a channel about one message, which may end the process.
    public struct SuspectCall: Sendable, Hashable {
        let key: String

        /// A message from a device, by its identifier.
        public init(receiving messageID: String, of session: LiveSession) {
            key = "\(session.senderID.key)/\(session.generation.number)/in/\(messageID)"
        }

        /// A message to a device, by its number.
        public init(delivering sequence: Int64, to session: LiveSession) {
            key = "\(session.senderID.key)/\(session.generation.number)/out/\(sequence)"
        }
    }

    /// Records that these calls are about to be made.
    ///
    /// - Returns: those of which nothing was recorded; the others were made before and have not come back.
    public func recordSuspects(_ calls: [SuspectCall]) async throws -> Set<SuspectCall> {
        let known = Dictionary(calls.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        return Set(
            try await pool.query(
                """
                INSERT INTO suspect_calls (call, last_at)
                SELECT call, clock_timestamp() FROM unnest($1::text[]) AS a (call)
                ON CONFLICT (call) DO NOTHING RETURNING call
                """, [.texts(known.keys.sorted())]
            ).compactMap { known[try $0.text("call")] })
    }

    /// Records that a call is about to be made once more.
    ///
    /// - Returns: how often it is made by then.
    public func repeatSuspect(_ call: SuspectCall) async throws -> Int {
        try await pool.query(
            """
            INSERT INTO suspect_calls AS s (call, last_at) VALUES ($1, clock_timestamp())
            ON CONFLICT (call) DO UPDATE
            SET attempts = least(s.attempts, 1000000) + 1, last_at = excluded.last_at
            RETURNING s.attempts
            """, [.text(call.key)]
        ).only().int("attempts")
    }

    /// Forgets calls that have come back.
    public func clearSuspects(_ calls: [SuspectCall]) async throws {
        try await pool.execute(
            "DELETE FROM suspect_calls WHERE call = ANY($1)", [.texts(calls.map(\.key).sorted())])
    }
}

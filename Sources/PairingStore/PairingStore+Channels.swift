import PairingCore
import Postgres

extension PairingStore {
    /// What a running gateway said of its channels.
    public struct InstanceChannels: Sendable, Equatable {
        /// The gateway.
        public var instanceID: InstanceID
        /// What operators call it.
        public var name: String
        /// When it started.
        public var startedAt: Timestamp
        /// How long its lease still runs; it renews the whole of it every few seconds.
        public var leaseLeft: Duration
        /// What it said, as JSON; `nil` where it has said nothing yet.
        public var report: String?
    }

    /// Remembers what a gateway says of its channels; writes nothing where it is what it said before.
    ///
    /// - Parameter report: JSON without NUL.
    public func publishChannels(_ report: String, of instanceID: InstanceID) async throws {
        try await pool.execute(
            "UPDATE instances SET channels = $2 WHERE instance_id = $1 AND channels IS DISTINCT FROM $2",
            [.uuid(instanceID.text), .json(report)])
    }

    /// What the gateways whose lease runs said of their channels, in the order of their names.
    public func instanceChannels() async throws -> [InstanceChannels] {
        try await pool.query(
            """
            SELECT instance_id::text AS instance_id, name, started_at, channels::text AS channels,
                (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::bigint AS lease_left
            FROM instances WHERE lease_until > clock_timestamp()
            ORDER BY name COLLATE "C", started_at, instance_id
            """
        ).map {
            InstanceChannels(
                instanceID: try $0.parsed("instance_id", InstanceID.init), name: try $0.text("name"),
                startedAt: try $0.moment("started_at"),
                leaseLeft: .milliseconds(try $0.int64("lease_left")), report: try $0.optionalText("channels"))
        }
    }
}

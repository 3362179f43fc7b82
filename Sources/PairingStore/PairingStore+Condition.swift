import PairingCore
import Postgres

extension PairingStore {
    /// What matters of a PostgreSQL server, as the role that asks sees it.
    package struct Condition: Sendable, Equatable {
        /// `server_version_num`, such as 150008.
        package var version = 150_000
        /// The encoding of the database.
        package var encoding = "UTF8"
        /// Whether the server is a standby.
        package var isStandby = false
        /// Whether transactions are read-only by default.
        package var isReadOnly = false
        /// `synchronous_commit` as a connection of this role begins with it: `on`, `off`, `local`, `remote_write` or
        /// `remote_apply`. Ours turn `off` into `on` for themselves.
        package var synchronousCommit = "on"
        /// Whether what is committed survives a crash of the machine.
        package var fsync = true
        /// Whether pages survive one that was half written.
        package var fullPageWrites = true
        /// Whether dead rows are removed.
        package var autovacuum = true
        /// How many connections the server takes.
        package var maximumConnections = 100
        /// How many of them it keeps for superusers.
        package var reservedConnections = 3
        /// The role that asked.
        package var role = "nodes"
        /// Whether the role may do anything.
        package var isSuperuser = false
        /// Whether the role owns the tables, or may act as who does.
        package var ownsEvents = false
        /// What the role may do to events that are written: of `UPDATE`, `DELETE` and `TRUNCATE`.
        package var eventRights: [String] = []
        /// The server's clock.
        package var clock = Timestamp(milliseconds: 0)
        /// Whether the connection goes over a network that is not this machine's own.
        package var isRemote = false
        /// Whether the connection is encrypted.
        package var isEncrypted = false
        /// Where the server's data is; `nil` where the role may not know.
        package var dataFolder: String?
        /// How many gateways have a lease.
        package var gateways = 0

        /// A server in good order.
        package init() {}
    }

    /// Asks the server. Works on a database without a schema, too.
    package func condition() async throws -> Condition {
        let row = try await pool.query(
            """
            SELECT current_setting('server_version_num')::int AS version,
                current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
                current_setting('default_transaction_read_only')::bool AS read_only,
                (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit,
                current_setting('fsync')::bool AS fsync,
                current_setting('full_page_writes')::bool AS full_page_writes,
                current_setting('autovacuum')::bool AS autovacuum,
                current_setting('max_connections')::int AS max_connections,
                current_setting('superuser_reserved_connections')::int AS reserved,
                current_user::text AS role,
                (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
                coalesce((SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class
                    WHERE oid = to_regclass('events')), false) AS owns,
                ARRAY(SELECT privilege FROM unnest('{UPDATE,DELETE,TRUNCATE}'::text[]) AS privilege
                    WHERE has_table_privilege(to_regclass('events'), privilege)) AS event_rights,
                clock_timestamp() AS clock,
                coalesce(NOT inet_server_addr() << '127.0.0.0/8' AND inet_server_addr() <> '::1', false)
                    AS remote,
                coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
                CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
                    THEN current_setting('data_directory') END AS data_folder,
                to_regclass('instances') IS NOT NULL
                    AND has_table_privilege(to_regclass('instances'), 'SELECT') AS has_instances
            """
        ).only()
        var condition = Condition()
        condition.version = try row.int("version")
        condition.encoding = try row.text("encoding")
        condition.isStandby = try row.bool("standby")
        condition.isReadOnly = try row.bool("read_only")
        condition.synchronousCommit = try row.text("synchronous_commit")
        condition.fsync = try row.bool("fsync")
        condition.fullPageWrites = try row.bool("full_page_writes")
        condition.autovacuum = try row.bool("autovacuum")
        condition.maximumConnections = try row.int("max_connections")
        condition.reservedConnections = try row.int("reserved")
        condition.role = try row.text("role")
        condition.isSuperuser = try row.bool("superuser")
        condition.ownsEvents = try row.bool("owns")
        condition.eventRights = try row.texts("event_rights")
        condition.clock = try row.moment("clock")
        condition.isRemote = try row.bool("remote")
        condition.isEncrypted = try row.bool("encrypted")
        condition.dataFolder = try row.optionalText("data_folder")
        if try row.bool("has_instances") {
            condition.gateways = try await pool.query(
                "SELECT count(*) AS gateways FROM instances WHERE lease_until > clock_timestamp()"
            ).only().int("gateways")
        }
        return condition
    }
}

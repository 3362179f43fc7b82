import CLibPQ

/// libpq's connection parameters: reading them from a string and completing them for a connection.
enum ConnectionString {
    /// - Throws: `PostgresError` with code `invalidConfiguration`. libpq's own message isn't passed on: it quotes
    ///   the string, or the part of a password that follows a blank.
    static func parse(_ string: String) throws(PostgresError) -> [String: String] {
        guard !string.utf8.contains(0) else {
            throw PostgresError(.invalidConfiguration, summary: "the connection string holds a NUL")
        }
        var message: UnsafeMutablePointer<CChar>?
        let options = PQconninfoParse(string, &message)
        PQfreemem(message)
        guard let options else {
            throw PostgresError(
                .invalidConfiguration,
                summary: """
                    libpq can't read the connection string; expected postgresql://user@host:port/database?name=value \
                    with special characters percent-encoded, or name=value pairs with values in single quotes, \
                    and only parameters that libpq knows
                    """)
        }
        defer { PQconninfoFree(options) }
        var parameters: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                parameters[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        return parameters
    }
}

extension PostgresConfiguration {
    /// What a connection is opened with: what the string says, and defaults by which a server that fell silent is
    /// noticed within seconds.
    var connectionParameters: [String: String] {
        let defaults = [
            "application_name": applicationName,
            "connect_timeout": String(max(2, connectTimeout.components.seconds)),
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "tcp_user_timeout": "15000",
        ]
        var complete = parameters.merging(defaults) { given, _ in given }
        // Of several servers a standby is none that anything here could work with.
        if ServerList(parameters).count > 1, complete["target_session_attrs"] == nil {
            complete["target_session_attrs"] = "read-write"
        }
        complete["client_encoding"] = "UTF8"
        if let server = lastServer.address {
            complete.merge(ServerList(complete).beginning(with: server)) { _, ordered in ordered }
        }
        if let file = RootCertificates.file(for: complete) { complete["sslrootcert"] = file }
        return complete
    }

    /// What every new connection is told first.
    ///
    /// The decoding of results rests on the first four. READ COMMITTED is what the callers' locking is written for.
    /// A commit is durable when it's acknowledged, whatever the database's own default.
    ///
    /// Without `enable_seqscan` a scan is planned only where no index can be used, whatever the statistics say: a
    /// prepared statement keeps the plan that it got while its tables were small. The price that the planner then puts
    /// on a scan that has to be would have every run of it compiled, hence no `jit`.
    var sessionSettings: String {
        """
        SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
        SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed';
        SET statement_timeout = \(statementTimeout.milliseconds); SET lock_timeout = \(lockTimeout.milliseconds);
        SET idle_in_transaction_session_timeout = \(statementTimeout.milliseconds);
        SET enable_seqscan = off; SET jit = off;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
        """
    }
}

extension Duration {
    /// Whole milliseconds, at least 1, within what libpq and the server take as a timeout.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        if seconds >= 2_000_000 { return 2_000_000_000 }
        return Int32(clamping: max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}

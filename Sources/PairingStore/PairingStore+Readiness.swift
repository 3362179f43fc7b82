import Postgres

extension PairingStore {
    /// What the servers' role has to be allowed, where it does not own the tables.
    private static let rights: [(table: String, privileges: [String])] = [
        ("schema_migrations", ["SELECT"]),
        ("event_counter", ["SELECT", "UPDATE"]),
        ("events", ["SELECT", "INSERT"]),
        ("pairing_requests", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("paired_devices", ["SELECT", "INSERT", "UPDATE"]),
        ("device_streams", ["SELECT", "INSERT", "UPDATE"]),
        ("device_silence", ["SELECT", "INSERT", "UPDATE"]),
        ("instances", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("device_sessions", ["SELECT", "INSERT", "UPDATE"]),
        ("replaced_sessions", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("command_calls", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("suspect_calls", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("rival_claims", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("messages", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("admins", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("admin_sessions", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("pairing_window", ["SELECT", "UPDATE"]),
        ("invitations", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("webhooks", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("push_hooks", ["SELECT", "INSERT", "UPDATE"]),
        ("waiting_devices", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("passkeys", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("passkey_challenges", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("recovery_codes", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("api_tokens", ["SELECT", "UPDATE"]),
        ("sign_in_failures", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        ("known_sign_ins", ["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ]

    /// Gives a role what the servers need of the tables. To be called as the tables' owner.
    ///
    /// - Throws: `PostgresError`, where there is no such role or the tables are not this one's to give.
    public func grant(to role: String) async throws {
        try await pool.transaction { transaction in
            let quoted = try transaction.query("SELECT quote_ident($1) AS role", [.text(role)]).only().text(
                "role")
            for right in Self.rights {
                try transaction.execute(
                    "GRANT \(right.privileges.joined(separator: ", ")) ON \(right.table) TO \(quoted)")
            }
        }
    }

    /// What keeps this program from working with the database, and what to do about it; `nil` where nothing does.
    public func lack() async throws -> String? {
        let needed = Self.rights.flatMap { right in right.privileges.map { (right.table, $0) } }
        let found = try await pool.query(
            """
            SELECT quote_ident(current_database()) AS database, quote_ident(current_user) AS role,
                quote_ident(coalesce(current_schema(), 'public')) AS schema,
                to_regclass('schema_migrations') IS NULL AS empty,
                (SELECT string_agg(statement, '; ' ORDER BY statement) FROM (
                    SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', '), name, current_user) AS statement
                    FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
                    WHERE NOT has_table_privilege(to_regclass(name), privilege) GROUP BY name) AS missing) AS grants
            """, [.texts(needed.map(\.0)), .texts(needed.map(\.1))]
        ).only()
        let (database, role) = (try found.text("database"), try found.text("role"))
        if try found.bool("empty") {
            return """
                The database \(database) has no schema that the role \(role) can see. Run nodesctl migrate as the \
                database's owner, or let this role make it: GRANT USAGE, CREATE ON SCHEMA \
                \(try found.text("schema")) TO \(role).
                """
        }
        if let grants = try found.optionalText("grants") {
            return "The role \(role) lacks rights in the database \(database). Run as its owner: \(grants)."
        }
        let step = try await pool.query("SELECT coalesce(max(number), 0) AS number FROM schema_migrations")
            .only().int("number")
        guard step < Schema.migrations.count else { return nil }
        return """
            The schema of the database \(database) is at step \(step) of \(Schema.migrations.count). Run nodesctl \
            migrate as the database's owner.
            """
    }
}

import PairingCore
import PairingStore

/// What was learnt of the database.
struct DatabaseFacts: Sendable {
    /// What the server said of itself, or why it could not be asked.
    var condition: Result<PairingStore.Condition, Problem>
    /// What keeps the servers from working with the schema, and what to do; `nil` where nothing does.
    var lack: String?
    /// Why notifications do not arrive; `nil` where they do.
    var listenProblem: String?
    /// How far the server's clock is ahead of this machine's, and how far that may be from the truth.
    var clockAhead: Duration = .zero
    var clockTolerance: Duration = .zero
    /// The room on the disk of the server's data; `nil` where it is not this machine's or may not be known.
    var disk: DiskFacts?
    /// The gateways and kernels that nginx on this machine passes to.
    var gateways = 0
    var kernels = 0
    /// `database.pool_size`.
    var poolSize = 8

    struct Problem: Error, Equatable, Sendable {
        var text: String
    }
}

/// The room on a disk.
struct DiskFacts: Equatable, Sendable {
    var folder: String
    var freeBytes: Int
    var totalBytes: Int
}

/// PostgreSQL: its settings, its clock, its disk, and what the servers' role may do.
enum DatabaseChecks {
    private static let oldest = 140_000
    /// Times of this machine and of the database are compared: expiries, proofs, leases.
    private static let clockWarning: Duration = .seconds(2)
    private static let clockError: Duration = .seconds(30)

    static func findings(_ facts: DatabaseFacts) -> [Finding] {
        let condition: PairingStore.Condition
        switch facts.condition {
        case .success(let found): condition = found
        case .failure(let problem):
            return [
                .error(
                    "database.connection", "database.url", found: problem.text,
                    expected: "a PostgreSQL that answers",
                    advice: "Check database.url, the server, pg_hba.conf and the password.")
            ]
        }
        return [.ok("database.connection", "database.url", "connected as \(condition.role)")]
            + version(condition) + writable(condition) + durability(condition)
            + connections(condition, facts) + clock(facts) + role(condition) + schema(facts)
            + notifications(facts) + encryption(condition) + disk(facts)
    }

    private static func version(_ condition: PairingStore.Condition) -> [Finding] {
        let text = "\(condition.version / 10_000).\(condition.version % 10_000)"
        let version: Finding =
            condition.version >= oldest
            ? .ok("database.version", "PostgreSQL", text)
            : .error(
                "database.version", "PostgreSQL", found: text, expected: "14 or newer; 15 is tested",
                advice: "Upgrade PostgreSQL.")
        let encoding: Finding =
            condition.encoding == "UTF8"
            ? .ok("database.encoding", "database", "UTF8")
            : .error(
                "database.encoding", "database", found: condition.encoding, expected: "UTF8",
                advice: "Make another database: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.")
        return [version, encoding]
    }

    private static func writable(_ condition: PairingStore.Condition) -> [Finding] {
        let check = "database.writable"
        let found: String
        if condition.isStandby {
            found = "the server is a standby"
        } else if condition.isReadOnly {
            found = "default_transaction_read_only is on"
        } else {
            return [.ok(check, "PostgreSQL", "accepts changes")]
        }
        return [
            .error(
                check, "PostgreSQL", found: found, expected: "a server that accepts changes",
                advice: "Let database.url lead to the primary, or make it writable again.")
        ]
    }

    private static func durability(_ condition: PairingStore.Condition) -> [Finding] {
        func setting(
            _ name: String, _ isGood: Bool, _ value: String, _ severity: Finding.Severity, _ why: String
        ) -> Finding {
            isGood
                ? .ok("database.\(name)", name, value)
                : Finding(
                    check: "database.\(name)", severity: severity, subject: name, found: value,
                    expected: "on: \(why)",
                    advice: "Turn it on in postgresql.conf, or for the role or database that turns it off.")
        }
        return [
            setting(
                "synchronous_commit", condition.synchronousCommit != "off", condition.synchronousCommit,
                .warning,
                "the servers turn it on for themselves, and what other programs write is lost in a crash"),
            setting(
                "fsync", condition.fsync, condition.fsync ? "on" : "off", .error,
                "a power failure destroys the database otherwise"),
            setting(
                "full_page_writes", condition.fullPageWrites, condition.fullPageWrites ? "on" : "off",
                .warning, "a page that was half written is lost otherwise"),
            setting(
                "autovacuum", condition.autovacuum, condition.autovacuum ? "on" : "off", .warning,
                "the tables grow without end otherwise"),
        ]
    }

    private static func connections(
        _ condition: PairingStore.Condition, _ facts: DatabaseFacts
    ) -> [Finding] {
        let gateways = max(facts.gateways, condition.gateways)
        let kernels = facts.kernels
        // Each has its pool and its pulse; a gateway listens on one more; some are for commands and starts.
        let needed = (gateways + kernels) * (facts.poolSize + 1) + gateways + 10
        let available = condition.maximumConnections - condition.reservedConnections
        let check = "database.max_connections"
        let found =
            "\(condition.maximumConnections), of which \(condition.reservedConnections) are reserved for superusers"
        if available >= needed { return [.ok(check, "max_connections", found)] }
        return [
            .warning(
                check, "max_connections", found: found,
                expected: "\(needed) for \(gateways) gateways and \(kernels) kernels with a "
                    + "database.pool_size of \(facts.poolSize)",
                advice:
                    "Raise max_connections to \(needed + condition.reservedConnections) or more, or lower "
                    + "database.pool_size.")
        ]
    }

    private static func clock(_ facts: DatabaseFacts) -> [Finding] {
        let check = "database.clock"
        let ahead = facts.clockAhead
        let distance = (ahead < .zero ? .zero - ahead : ahead) - facts.clockTolerance
        let found =
            "\(abs(ahead.milliseconds)) ms \(ahead < .zero ? "behind" : "ahead of") this machine's "
            + "(within \(facts.clockTolerance.milliseconds) ms)"
        if distance < clockWarning { return [.ok(check, "PostgreSQL's clock", found)] }
        return [
            Finding(
                check: check, severity: distance < clockError ? .warning : .error,
                subject: "PostgreSQL's clock", found: found, expected: "less than 2 s apart",
                advice: "Let both machines follow the same time servers (chrony, systemd-timesyncd).")
        ]
    }

    private static func role(_ condition: PairingStore.Condition) -> [Finding] {
        let (check, subject) = ("database.role", "role \(condition.role)")
        let found: String
        if condition.isSuperuser {
            found = "a superuser"
        } else if condition.ownsEvents {
            found = "owns the tables"
        } else if !condition.eventRights.isEmpty {
            found = "may \(condition.eventRights.joined(separator: ", ")) events"
        } else {
            return [.ok(check, subject, "may change neither tables nor events")]
        }
        return [
            .warning(
                check, subject, found: found,
                expected: "a role that may neither alter tables nor change events that are written: else a "
                    + "server that is broken into can rewrite what happened",
                advice:
                    "Let another role own the tables (nodesctl migrate as that one), and give the servers a role "
                    + "of their own; docs/operators.md has the statements.")
        ]
    }

    private static func schema(_ facts: DatabaseFacts) -> [Finding] {
        guard let lack = facts.lack else {
            return [.ok("database.schema", "schema", "up to date, with every right that is needed")]
        }
        return [
            .error(
                "database.schema", "schema", found: lack,
                expected: "the schema of this version, and the rights to use it",
                advice: "Do what the sentence says; no server needs a restart.")
        ]
    }

    private static func notifications(_ facts: DatabaseFacts) -> [Finding] {
        guard let problem = facts.listenProblem else {
            return [.ok("database.listen", "LISTEN", "notifications arrive")]
        }
        return [
            .error(
                "database.listen", "LISTEN", found: problem, expected: "notifications that arrive",
                advice: "Let database.url lead to PostgreSQL itself, or to a pooler in session mode.")
        ]
    }

    private static func encryption(_ condition: PairingStore.Condition) -> [Finding] {
        let check = "database.encryption"
        if !condition.isRemote { return [.ok(check, "connection", "stays on this machine")] }
        if condition.isEncrypted { return [.ok(check, "connection", "encrypted")] }
        return [
            .warning(
                check, "connection", found: "goes over a network in clear", expected: "TLS",
                advice: "Turn ssl on in PostgreSQL, and say sslmode=verify-full in database.url.")
        ]
    }

    private static func disk(_ facts: DatabaseFacts) -> [Finding] {
        let check = "database.disk"
        guard let disk = facts.disk else {
            return [
                .skipped(
                    check, "PostgreSQL's data", "it is not on this machine, or its folder is not known",
                    advice: "Name its folder with --postgres-data where it is on this machine.")
            ]
        }
        let percent = disk.totalBytes > 0 ? disk.freeBytes * 100 / disk.totalBytes : 0
        let found = "\(disk.freeBytes >> 20) MiB are free (\(percent) %)"
        let severity: Finding.Severity =
            disk.freeBytes < 256 << 20
            ? .error : disk.freeBytes < 1 << 30 || percent < 5 ? .warning : .ok
        if severity == .ok { return [.ok(check, disk.folder, found)] }
        return [
            Finding(
                check: check, severity: severity, subject: disk.folder, found: found,
                expected: "1 GiB and 5 %: where it is full, nothing is accepted any more",
                advice: "Make room, or put PostgreSQL's data on a larger disk.")
        ]
    }
}

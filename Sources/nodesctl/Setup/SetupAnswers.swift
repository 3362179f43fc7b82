import PairingCore
import Postgres

/// What `nodesctl setup` has to be told, whoever answers: options or a person.
struct SetupAnswers: Equatable, Sendable {
    /// Where PostgreSQL is.
    enum Database: Equatable, Sendable {
        /// On this machine, over its unix socket; setup makes the roles and the database.
        case local
        /// Somewhere else: what the servers connect with, and what the owner of the tables does, who is needed for the
        /// setup alone.
        case remote(servers: String, owner: String)
    }

    /// Whose word browsers and devices have for this host.
    enum Certificate: Equatable, Sendable {
        /// Made here, for now: browsers warn of it.
        case selfSigned
        case files(certificate: String, key: String)
    }

    /// How many servers of a kind one machine may run: more would be no use on any machine of today.
    static let servers = 1...32

    /// The name that people and devices dial.
    var host: String
    var database: Database
    var certificate: Certificate
    var gateways: Int
    var kernels: Int
    /// The first administrator's account.
    var administrator: String

    /// - Throws: ``CommandFailure`` for what cannot be a host name or a number of servers.
    func check() throws(CommandFailure) {
        guard Self.isHostName(host) else {
            throw CommandFailure(
                .usage,
                "The host name \(terminalText(host)) is none; expected a name in small letters such as nodes.example.org, "
                    + "without a scheme, a port or a path."
            )
        }
        for (kind, count) in [("gateways", gateways), ("kernels", kernels)]
        where !Self.servers.contains(count) {
            throw CommandFailure(
                .usage,
                "\(count) \(kind) cannot be; expected \(Self.servers.lowerBound) to \(Self.servers.upperBound)."
            )
        }
        if case .remote(let servers, let owner) = database {
            for (name, url) in [("--database", servers), ("--owner-database", owner)]
            where !url.hasPrefix("postgresql://") && !url.hasPrefix("postgres://") {
                // It may hold a password, so it is not repeated.
                throw CommandFailure(
                    .usage,
                    "\(name) is no connection string; expected postgresql://USER@HOST/DATABASE?sslmode=verify-full, or "
                        + "the word local for PostgreSQL on this machine.")
            }
            guard servers == owner || serversRole != nil else {
                throw CommandFailure(
                    .usage,
                    "--database names no role; expected postgresql://ROLE@HOST/DATABASE, whose rights setup grants."
                )
            }
        }
    }

    /// The role that the servers connect as, where the connection string names one.
    var serversRole: String? {
        switch database {
        case .local: SetupPlaces.account
        case .remote(let servers, _): (try? PostgresConfiguration(servers))?.user
        }
    }

    /// Letters, digits and hyphens between dots (RFC 1123 §2.1), in small letters; no address, which has no certificate
    /// that browsers take.
    private static func isHostName(_ text: String) -> Bool {
        guard text.utf8.count <= 253,
            text.utf8.contains(where: { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") })
        else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.utf8.first != UInt8(ascii: "-")
                && label.utf8.last != UInt8(ascii: "-")
                && label.utf8.allSatisfy {
                    $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z")
                        || $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
                        || $0 == UInt8(ascii: "-")
                }
        }
    }
}

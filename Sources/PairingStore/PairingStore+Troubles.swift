import PairingCore
import Postgres

extension PairingStore {
    /// How often sessions of one device replace each other in a window before that is shown.
    private static let contention = 6

    /// What is wrong at this moment, five of each kind at most; for ``SystemTroubles/init(_:)``.
    ///
    /// - Parameter requestsPerAddress: how many requests of an address may wait.
    static func troublesQueries(requestsPerAddress: Int) -> [(sql: String, parameters: [PostgresValue])] {
        [
            (
                """
                SELECT address_limit_key AS address, count(*) AS waiting FROM pairing_requests
                WHERE state = 'pending' AND expires_at > clock_timestamp() AND address_limit_key IS NOT NULL
                GROUP BY address_limit_key HAVING count(*) >= $1 ORDER BY count(*) DESC, address_limit_key LIMIT 5
                """, [.int(requestsPerAddress)]
            ),
            (Self.contentionQuery("ORDER BY r.last_at DESC LIMIT 5"), [.int(Self.contention)]),
            (
                """
                SELECT name, lease_until FROM instances i
                WHERE lease_until BETWEEN now() - interval '10 minutes' AND clock_timestamp()
                    AND EXISTS (SELECT 1 FROM device_sessions s WHERE s.instance_id = i.instance_id)
                ORDER BY name LIMIT 5
                """, []
            ),
        ]
    }

    /// Whether, and how, sessions of that device replace each other at this time.
    public func contention(of senderID: SenderID) async throws -> SystemTroubles.Contention? {
        try await pool.query(
            Self.contentionQuery("AND r.sender_key = $2"), [.int(Self.contention), .text(senderID.key)]
        ).first?.contention()
    }

    private static func contentionQuery(_ end: String) -> String {
        """
        SELECT d.sender_id, r.replaced, r.last_at, r.address, r.other_address
        FROM replaced_sessions r JOIN paired_devices d ON d.sender_key = r.sender_key AND d.state = 'active'
        WHERE r.last_at > now() - interval '10 minutes' AND r.replaced >= $1 \(end)
        """
    }
}

extension SystemTroubles {
    /// Reads the answers to ``PairingStore/troublesQueries(requestsPerAddress:)``.
    init(_ answers: ArraySlice<PostgresRows>) throws {
        self.init()
        let first = answers.startIndex
        fullAddresses = try answers[first].map {
            FullAddress(address: try $0.text("address"), waiting: try $0.int("waiting"))
        }
        contentions = try answers[first + 1].map { try $0.contention() }
        lostGateways = try answers[first + 2].map {
            LostGateway(name: try $0.text("name"), since: try $0.moment("lease_until"))
        }
    }
}

extension PostgresRow {
    fileprivate func contention() throws -> SystemTroubles.Contention {
        SystemTroubles.Contention(
            senderID: try senderID(), replaced: try int("replaced"), lastAt: try moment("last_at"),
            address: try address(), otherAddress: try address("other_address"))
    }
}

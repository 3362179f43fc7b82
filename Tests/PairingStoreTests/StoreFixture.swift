import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Testing

/// A store over a database of its own, with what tests ask of it again and again.
struct StoreFixture: Sendable {
    let store: PairingStore
    let pool: PostgresPool
    let url: String

    static let web = ChannelID("web")
    static let address = ClientAddress("192.0.2.7")
    static let admin = Origination(.administrator("maria"), address: ClientAddress("192.0.2.1"))
    static let instances = ["11111111", "22222222", "33333333"].compactMap {
        InstanceID("\($0)-0000-4000-8000-000000000000")
    }

    /// Runs `body` with a migrated database that is dropped afterwards.
    static func run<Result: Sendable>(
        connections: Int = 8, configure: (inout PostgresConfiguration) -> Void = { _ in },
        _ body: (StoreFixture) async throws -> Result
    ) async throws -> Result {
        try await Turnstile.databases.pass {
            let cluster = try await PostgresCluster.shared
            let template = try await cluster.template("pairing_schema") { url in
                let pool = PostgresPool(
                    configuration: try PostgresConfiguration(url), logger: Logger(label: "test"))
                _ = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
                await pool.close()
            }
            return try await cluster.withDatabase(template: template) { url in
                var configuration = try PostgresConfiguration(url)
                configuration.maximumConnections = connections
                // Many tests share the machine; none is about running out of connections.
                configuration.acquireTimeout = .seconds(60)
                configuration.lockTimeout = .seconds(30)
                configure(&configuration)
                let pool = PostgresPool(configuration: configuration, logger: Logger(label: "test"))
                let fixture = StoreFixture(
                    store: PairingStore(pool: pool, lockWait: configuration.lockTimeout), pool: pool, url: url
                )
                let result: Swift.Result<Result, any Error>
                do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                await pool.close()
                return try result.get()
            }
        }
    }

    // MARK: - Making things

    static func sender(_ text: String) throws -> SenderID { try #require(SenderID(text)) }

    /// A credential of its own for each seed.
    static func key(_ seed: Int) throws -> StoredCredential {
        .key(try #require(PublicKey(bytes: bytes(seed))))
    }

    static func tokenHash(_ seed: Int) -> StoredCredential { .tokenHash(bytes(seed)) }

    static func bytes(_ seed: Int) -> [UInt8] {
        (0..<32).map { UInt8(truncatingIfNeeded: seed >> (8 * ($0 % 4)) &+ $0 / 4) }
    }

    static func limits(
        lifetime: Duration = .seconds(3600), cooldown: Duration = .seconds(600), perAddress: Int = 1000,
        total: Int = 100_000, metadata: Int = 16 << 10
    ) -> PairingStore.ClaimLimits {
        PairingStore.ClaimLimits(
            lifetime: lifetime, cooldown: cooldown, requestsPerAddress: perAddress, requestsTotal: total,
            maximumMetadataBytes: metadata)
    }

    static func claim(
        _ sender: String, channel: String = "web", credential: StoredCredential? = nil,
        profile: DeviceProfile = DeviceProfile(), address: String = "192.0.2.7", codes: [PairingCode]? = nil,
        limits: PairingStore.ClaimLimits? = nil
    ) throws -> PairingStore.Claim {
        PairingStore.Claim(
            senderID: try Self.sender(sender), channel: try #require(ChannelID(channel)),
            credential: try credential ?? key(1), profile: profile,
            address: try #require(ClientAddress(address)), freshCodes: codes ?? randomCodes(),
            settings: limits ?? Self.limits())
    }

    static func randomCodes() -> [PairingCode] {
        (0..<4).map { _ in PairingCode(randomBytes: (0..<8).map { _ in UInt8.random(in: 0...255) }) }
    }

    /// A pending request of its own.
    func pending(
        _ sender: String, credential: StoredCredential? = nil, limits: PairingStore.ClaimLimits? = nil
    ) async throws -> PairingRequest {
        try await request(
            store.claim(try Self.claim(sender, credential: credential, limits: limits)))
    }

    /// The request of an outcome that must be one.
    func request(_ outcome: Outcome<PairingStore.ClaimResult>) throws -> PairingRequest {
        guard case .done(.pending(let request, _)) = outcome else {
            throw Unexpected("a pending request", outcome)
        }
        return request
    }

    /// An active pairing of its own.
    @discardableResult
    func paired(_ sender: String, credential: StoredCredential? = nil) async throws -> PairedDevice {
        let request = try await pending(sender, credential: credential)
        return try await store.approve(request.id, code: request.code, by: Self.admin).done()
    }

    /// A session of a device on an instance.
    func session(
        _ device: PairedDevice, on instance: InstanceID = instances[0]
    ) async throws -> PairingStore.LiveSession {
        let arrival = PairingStore.Arrival(
            senderID: device.senderID, generation: device.generation,
            address: try #require(Self.address))
        let row = try #require(try await store.beginSessions([arrival], on: instance)[0])
        return PairingStore.LiveSession(
            senderID: device.senderID, generation: device.generation, epoch: row.epoch)
    }

    /// Makes a request's time be over.
    func expire(_ id: RequestID) async throws {
        try await pool.execute(
            """
            UPDATE pairing_requests SET created_at = created_at - interval '2 hours',
                expires_at = clock_timestamp() - interval '1 second' WHERE request_id = $1
            """, [.uuid(id.text)])
    }

    /// The one number that a statement answers with.
    func number(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> Int {
        try #require(try await pool.query("SELECT (\(sql)) AS number", parameters).first).int("number")
    }

    func events() async throws -> [PairingStore.Event] {
        try await store.events(after: 0, limit: 1_000_000)
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ expected: String, _ actual: some Any) { description = "expected \(expected), not \(actual)" }
}

extension Outcome {
    func done() throws -> Value {
        guard case .done(let value) = self else { throw Unexpected("success", self) }
        return value
    }

    func refusal() throws -> Refusal {
        guard case .refused(let refusal) = self else { throw Unexpected("a refusal", self) }
        return refusal
    }
}

/// Runs `body` `count` times at once and collects the results in the order of their numbers.
func atOnce<Result: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) async throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        for index in 0..<count { group.addTask { (index, try await body(index)) } }
        var results: [(Int, Result)] = []
        for try await result in group { results.append(result) }
        return results.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

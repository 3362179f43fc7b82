import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import Testing

@testable import PairingKernel

@Suite("The database away (I5)")
struct OutageTests {
    /// Runs `body` with an instance on a cluster of its own.
    private func withCluster(
        grace: Duration, _ body: (PostgresCluster, String, Instance) async throws -> Void
    ) async throws {
        try await Turnstile.databases.pass {
            let cluster = try await PostgresCluster.launch()
            let url = cluster.url(try await cluster.createDatabase())
            try await System.migrate(url)
            var settings = try System.settings
            settings.authorityLease = .seconds(2)
            settings.authorityGrace = grace
            let instance = try await Instance(1, url: url, settings: settings) {
                $0.lockTimeout = .seconds(60)
                $0.statementTimeout = .seconds(60)
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body(cluster, url, instance)) } catch {
                result = .failure(error)
            }
            await instance.kill()
            try await cluster.remove()
            try result.get()
        }
    }

    /// Waits until the session has caught up: its second answer comes after that.
    private func settle(
        _ socket: RecordingSocket, _ grant: SessionGrant, _ instance: Instance
    ) async throws {
        for number in 1...2 {
            // A busy machine may let so short a lease lapse.
            try await eventually("receipt \(number)") {
                (try? await instance.sessions.send(
                    id: "\(number)", body: "\(number)", grant: grant, on: socket)) != nil
            }
            try await eventually("answer \(number)") { socket.messages.count == number }
        }
    }

    @Test("Everything is refused as unavailable, sessions pause and go on, no credential is lost")
    func shortOutage() async throws {
        try await withCluster(grace: .seconds(300)) { cluster, _, instance in
            let device = try await instance.pair("tablet-01")
            let waiting = try instance.socket()
            let pending = try TestDevice("tablet-02")
            let ticket = try await instance.ask(pending, on: waiting)
            let socket = try instance.socket()
            let grant = try await instance.connect(device, on: socket)
            try await settle(socket, grant, instance)
            try await cluster.stop()
            let refusals = [
                await #expect(throws: Refusal.self) {
                    _ = try await instance.ask(try TestDevice("tablet-03"), on: try instance.socket())
                },
                try await instance.refusal(of: device),
                await #expect(throws: Refusal.self) { try await instance.approve(ticket) },
                await #expect(throws: Refusal.self) { try await instance.revoke(device) },
                await #expect(throws: Refusal.self) {
                    try await instance.sessions.send(id: "3", body: "3", grant: grant, on: socket)
                },
                await #expect(throws: Refusal.self) { try await instance.kernel.checkReadiness() },
            ]
            for refusal in refusals {
                #expect(refusal?.code == .unavailable, "\(String(describing: refusal))")
                #expect(refusal?.retryable == true)
            }
            try await eventually("suspension") { socket.orders.contains(.suspend) }
            #expect(!instance.sessions.hasAuthority)
            try await cluster.start()
            try await eventually("resumption") { socket.orders.contains(.resume) }
            #expect(socket.closures.isEmpty)
            // In doubt: the repeat settles it.
            try await eventually("the repeat") {
                (try? await instance.sessions.send(id: "3", body: "3", grant: grant, on: socket)) != nil
            }
            try await eventually("the answer") { socket.messages.last?.body == "3" }
            try await eventually("the approval") {
                do {
                    try await instance.approve(ticket)
                    return true
                } catch let refusal as Refusal {
                    return refusal.reason == "already_approved"
                }
            }
            guard case .approved(_, .some) = try await waiting.resolution() else {
                Issue.record("the socket that waited through the outage has to be authenticated")
                return
            }
            #expect(try await instance.refusal(of: device) == nil)
        }
    }

    @Test("A longer outage closes the sessions with 1013, and their devices come back by themselves")
    func longOutage() async throws {
        try await withCluster(grace: .seconds(20)) { cluster, _, instance in
            let device = try await instance.pair("tablet-01")
            let socket = try instance.socket()
            try await settle(socket, try await instance.connect(device, on: socket), instance)
            try await cluster.stop()
            #expect(try await socket.closure() == .authorityLost)
            #expect(instance.sessions.liveCount == 0)
            instance.sessions.detach(socket)
            try await cluster.start()
            let next = try instance.socket()
            try await eventually("the device back") {
                (try? await instance.connect(device, on: next)) != nil
            }
            try await eventually("authority") { instance.sessions.hasAuthority }
            #expect(instance.sessions.liveCount == 1)
            #expect(next.closures.isEmpty)
        }
    }

    @Test("A database that hangs suspends the sessions as soon as one that refuses (I3)")
    func hanging() async throws {
        try await withCluster(grace: .seconds(300)) { cluster, url, instance in
            let device = try await instance.pair("tablet-01")
            let other = try await instance.pair("tablet-02")
            let socket = try instance.socket()
            let leaving = try instance.socket()
            try await settle(socket, try await instance.connect(device, on: socket), instance)
            try await instance.connect(other, on: leaving)
            let pool = PostgresPool(configuration: try PostgresConfiguration(url), logger: quietLogger)
            let start = ContinuousClock.now
            let suspended = try await pool.transaction { transaction in
                try transaction.execute("LOCK TABLE device_sessions IN ACCESS EXCLUSIVE MODE")
                instance.sessions.detach(leaving)
                // The transaction's thread may wait; it holds the lock meanwhile.
                while ContinuousClock.now - start < .seconds(50) {
                    if socket.orders.contains(.suspend) { return ContinuousClock.now - start }
                    try transaction.execute("SELECT pg_sleep(0.02)")
                }
                return .seconds(3600)
            }
            #expect(suspended < .seconds(45))
            try await eventually("resumption") { socket.orders.contains(.resume) }
            await pool.close()
        }
    }
}

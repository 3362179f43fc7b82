import Glibc
import Logging
import Postgres
import PostgresTestSupport
import ServiceLifecycle
import Testing

extension OnServer {
    /// Notifications, their loss and return.
    @Suite struct ListenerTests {
        /// Runs `body` with a listener on the pool's database.
        private nonisolated(nonsending) func withListener(
            _ channels: [String],
            _ body: nonisolated(nonsending) (PostgresPool, PostgresListener) async throws -> Void
        ) async throws {
            try await PostgresCluster.shared.withDatabase { url in
                var configuration = try PostgresConfiguration(url)
                configuration.applicationName = "listener"
                let listener = PostgresListener(
                    configuration: configuration, channels: channels, logger: .quiet)
                let running = Task { try await listener.run() }
                let result: Result<Void, any Error>
                do {
                    result = .success(try await withPool(url) { try await body($0, listener) })
                } catch {
                    result = .failure(error)
                }
                running.cancel()
                try await running.value
                while await listener.next() != nil {}
                try result.get()
            }
        }

        private let backendOfListener = """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'listener'
            """

        @Test("Notifications arrive with channel and payload, whatever the channel's name, and in order")
        func notifications() async throws {
            let odd = "odd \"name\""
            try await withListener(["plain", odd]) { pool, listener in
                #expect(await listener.next() == .connected)
                try await pool.execute("SELECT pg_notify('plain', 'one'), pg_notify($1, 'two')", [.text(odd)])
                try await pool.execute("NOTIFY plain")
                #expect(await listener.next() == .notification(channel: "plain", payload: "one"))
                #expect(await listener.next() == .notification(channel: odd, payload: "two"))
                #expect(await listener.next() == .notification(channel: "plain", payload: ""))
            }
        }

        @Test("A lost connection is told, and then its return")
        func loss() async throws {
            try await withListener(["c"]) { pool, listener in
                #expect(await listener.next() == .connected)
                try await pool.execute("SELECT pg_terminate_backend(pid) FROM (\(backendOfListener)) AS l")
                #expect(await listener.next() == .lost)
                #expect(await listener.next() == .connected)
                try await pool.execute("NOTIFY c, 'again'")
                #expect(await listener.next() == .notification(channel: "c", payload: "again"))
            }
        }

        @Test("A server that falls silent is noticed within seconds")
        func silence() async throws {
            try await withListener(["c"]) { pool, listener in
                #expect(await listener.next() == .connected)
                let backend = pid_t(try await pool.query(backendOfListener)[0].int("pid"))
                kill(backend, SIGSTOP)
                defer { kill(backend, SIGCONT) }
                let stopped = ContinuousClock.now
                #expect(await listener.next() == .lost)
                #expect(ContinuousClock.now - stopped < .seconds(45))
                #expect(await listener.next() == .connected)
            }
        }

        @Test("A listener outlives its server, and a reader that was too slow is told to look anew")
        func outageAndOverflow() async throws {
            let cluster = try await PostgresCluster.launch()
            try await cluster.stop()
            let configuration = try PostgresConfiguration(cluster.url())
            let listener = PostgresListener(configuration: configuration, channels: ["c"], logger: .quiet)
            let group = ServiceGroup(services: [listener], logger: .quiet)
            let running = Task { try await group.run() }
            try await cluster.start()
            #expect(await listener.next() == .connected)
            try await cluster.administer("SELECT pg_notify('c', n::text) FROM generate_series(1, 5000) AS n")
            // Until all 5000 are in, the reader has read nothing, so that 1024 are kept.
            try await eventually("the notifications didn't arrive") {
                try await cluster.administer("SELECT pg_notification_queue_usage() = 0").hasPrefix("t")
            }
            try await cluster.administer("NOTIFY c, 'last'")
            var kept = 0
            while let event = await listener.next(), event != .connected { kept += 1 }
            #expect(kept >= 1024 && kept < 5000)
            await group.triggerGracefulShutdown()
            try await running.value
            try await cluster.remove()
        }

        @Test("The start check passes where notifications arrive")
        func check() async throws {
            try await PostgresCluster.shared.withDatabase { url in
                try await PostgresListener.verifyListenWorks(configuration: PostgresConfiguration(url))
            }
        }

        @Test("The start check refuses where notifications get lost, and names the remedy")
        func checkBehindPooler() async throws {
            try await withPool { pool in
                // What notifies goes astray, as it does when a pooler hands the listening connection to somebody else.
                try await pool.execute(
                    "CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'")
                let database = try await pool.query("SELECT current_database() AS name")[0].text("name")
                try await pool.execute("ALTER DATABASE \(database) SET search_path = public, pg_catalog")
                let configuration = try await PostgresConfiguration(PostgresCluster.shared.url(database))
                let error = try await failure {
                    try await PostgresListener.verifyListenWorks(
                        configuration: configuration, timeout: .milliseconds(300))
                }
                #expect(error.code == .listenUnsupported)
                #expect(!error.isUnavailable)
                #expect(error.description.contains("session mode"))
            }
        }

        @Test("The start check tells an absent server from a pooler")
        func checkWithoutServer() async throws {
            let configuration = try PostgresConfiguration("host=/nonexistent")
            let error = try await failure {
                try await PostgresListener.verifyListenWorks(configuration: configuration)
            }
            #expect(error.code == .connectionFailed)
        }
    }
}

extension PostgresListener {
    /// The next event; iterators of one stream share what's left of it.
    func next() async -> Event? {
        var iterator = events.makeAsyncIterator()
        return await iterator.next()
    }
}

import Foundation
import PostgresTestSupport
import Testing

@testable import Postgres

extension OnServer {
    /// The same over TCP and TLS, where bytes that have arrived may wait inside OpenSSL instead of in the socket.
    @Suite struct TLSTests {
        @Test("Statements, big results, cancellation and lost connections work over TLS")
        func overTLS() async throws {
            let cluster = try await PostgresCluster.launch(tlsPort: freePort())
            let url = """
                postgresql://postgres@127.0.0.1:\(cluster.port)/postgres?sslmode=verify-full\
                &sslrootcert=\(cluster.certificate)
                """
            try await withPool(url) { pool in
                let row = try await pool.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0]
                #expect(try row.bool("ssl"))
                let rows = try await pool.query("SELECT repeat('x', 1000) AS a FROM generate_series(1, 5000)")
                #expect(rows.count == 5000)
                let bytes = [UInt8](repeating: 7, count: 3_000_000)
                #expect(try await pool.query("SELECT $1 AS a", [.bytes(bytes)])[0].bytes("a") == bytes)

                let running = Task { try await pool.transaction { try $0.execute("SELECT pg_sleep(20)") } }
                try await untilRunning("SELECT pg_sleep(20)", pool)
                running.cancel()
                #expect(try await failure { try await running.value }.code == .cancelled)

                try await cluster.administer(
                    """
                    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                    WHERE application_name = 'goclaw-nodes'
                    """)
                try await pool.ping()
            }
            try await PostgresListener.verifyListenWorks(configuration: PostgresConfiguration(url))
            let distrusting = url.replacing(cluster.certificate, with: "/nonexistent")
            try await withPool(distrusting) { pool in
                let error = try await failure { try await pool.ping() }
                #expect(error.code == .connectionFailed)
            }
            try await cluster.remove()
        }
    }
}

/// A TCP port that was free a moment ago.
private func freePort() throws -> Int {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(socket, generic, length) == 0 ? getsockname(socket, generic, &length) : -1
        }
    }
    try #require(result == 0)
    return Int(UInt16(bigEndian: address.sin_port))
}

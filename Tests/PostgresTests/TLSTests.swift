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
            try await clientCertificate(of: cluster)
            try await cluster.remove()
        }

        /// Who shows the certificate that the server asks for is let in, and who shows none is not.
        private func clientCertificate(of cluster: PostgresCluster) async throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (certificate, key) = (folder.path() + "/client.crt", folder.path() + "/client.key")
            let openssl = Process()
            openssl.executableURL = URL(filePath: "/usr/bin/openssl")
            openssl.arguments = [
                "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=certified",
                "-keyout", key, "-out", certificate,
            ]
            openssl.standardError = FileHandle.nullDevice
            try openssl.run()
            openssl.waitUntilExit()
            let text = try String(contentsOfFile: certificate, encoding: .utf8)
            let rules = [
                "hostssl all certified 127.0.0.1/32 cert", "local all all trust",
                "host all all 127.0.0.1/32 trust",
            ].map { "('\($0)')" }.joined(separator: ", ")
            for statement in [
                "CREATE ROLE certified LOGIN",
                "COPY (SELECT unnest(string_to_array('\(text)', E'\\n'))) TO '\(cluster.folder)/data/ca.crt'",
                "COPY (VALUES \(rules)) TO '\(cluster.folder)/data/pg_hba.conf'",
                "ALTER SYSTEM SET ssl_ca_file = 'ca.crt'", "SELECT pg_reload_conf()",
            ] {
                try await cluster.administer(statement)
            }
            let url = """
                postgresql://certified@127.0.0.1:\(cluster.port)/postgres?sslmode=verify-full\
                &sslrootcert=\(cluster.certificate)
                """
            try await withPool(url + "&sslcert=\(certificate)&sslkey=\(key)") { pool in
                try await eventually("the server has read its rules") {
                    (try? await pool.query("SELECT current_user AS u")[0].text("u")) == "certified"
                }
                let row = try await pool.query(
                    "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0]
                #expect(try row.text("client_dn") == "/CN=certified")
            }
            try await withPool(url + "&sslcert=/nonexistent") { pool in
                let refusal = try await failure { try await pool.ping() }
                #expect(refusal.code == .connectionFailed)
            }
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

import Testing

@testable import Postgres

/// By what a server's certificate is checked where the connection string only says that it is to be.
@Suite struct RootCertificatesTests {
    private let debian = "/etc/ssl/certs/ca-certificates.crt"

    private func file(
        _ parameters: [String: String], environment: [String: String] = [:], files: [String]? = nil
    ) -> String? {
        RootCertificates.file(
            for: parameters, environment: { environment[$0] }, exists: { (files ?? [debian]).contains($0) })
    }

    @Test("verify-full and verify-ca check by the system's authorities, also those of the environment")
    func system() {
        #expect(file(["sslmode": "verify-full"]) == debian)
        #expect(file(["sslmode": "verify-ca"]) == debian)
        #expect(file(["sslmode": "verify-full", "sslrootcert": "system"]) == debian)
        #expect(file([:], environment: ["PGSSLMODE": "verify-full"]) == debian)
        #expect(file(["sslmode": "verify-full"], files: ["/etc/ssl/cert.pem"]) == "/etc/ssl/cert.pem")
    }

    @Test("What the operator chose stays, and where nothing is checked nothing is added")
    func chosen() {
        #expect(file(["sslmode": "verify-full", "sslrootcert": "/etc/ours.crt"]) == nil)
        #expect(file(["sslmode": "verify-full"], environment: ["PGSSLROOTCERT": "/etc/ours.crt"]) == nil)
        let own = "/home/nodes/.postgresql/root.crt"
        #expect(
            file(["sslmode": "verify-full"], environment: ["HOME": "/home/nodes"], files: [debian, own])
                == nil)
        #expect(file(["sslmode": "require"]) == nil)
        #expect(file([:]) == nil)
        #expect(file(["sslmode": "verify-full"], files: []) == nil)
    }
}

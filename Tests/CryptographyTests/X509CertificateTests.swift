import Cryptography
import Testing

@Suite("Certificates")
struct X509CertificateTests {
    private static let pem = """
        -----BEGIN CERTIFICATE-----
        MIIBjjCCAUCgAwIBAgIUOlwJu1OCfjTx8m4Yu4eE/vmKRoowBQYDK2VwMB4xHDAa
        BgNVBAMME2lnbm9yZWQuZXhhbXBsZS5vcmcwIBcNMjYxMTI3MDc0NzM5WhgPMjEy
        NjExMDMwNzQ3MzlaMB4xHDAaBgNVBAMME2lnbm9yZWQuZXhhbXBsZS5vcmcwKjAF
        BgMrZXADIQBk0piWzLtMxdyXkmrbEObFbGtiSnWbxlWnl8C9xv9u+6OBjTCBijAd
        BgNVHQ4EFgQUb2wJ6Nhvq6YxNSUEgmUbvhZnvG0wHwYDVR0jBBgwFoAUb2wJ6Nhv
        q6YxNSUEgmUbvhZnvG0wDwYDVR0TAQH/BAUwAwEB/zA3BgNVHREEMDAughFub2Rl
        cy5leGFtcGxlLm9yZ4ITKi5jZWxscy5leGFtcGxlLm9yZ4cEwAACBzAFBgMrZXAD
        QQCxKnaDl7OThlimJDAU7t5gy9xcJedv1ouy4IumH9kXS5SqJ0LzrGYfySZ82h5y
        nT6xz0srPeiYT7br1efpEqgH
        -----END CERTIFICATE-----
        """

    @Test("A certificate says when it begins and ends, and which of the hosts asked for it names")
    func content() throws {
        let hosts = [
            "nodes.example.org", "a.cells.example.org", "192.0.2.7", "example.org", "a.b.cells.example.org",
            "192.0.2.8", "ignored.example.org",
        ]
        let certificate = try #require(X509Certificate(pem: Array(Self.pem.utf8), hosts: hosts))
        #expect(certificate.notBefore == 1_795_765_659)
        #expect(certificate.notAfter == 4_949_365_659)
        #expect(certificate.hosts == ["nodes.example.org", "a.cells.example.org", "192.0.2.7"])
    }

    @Test(
        "What is no certificate is not read",
        arguments: ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    func nonsense(text: String) {
        #expect(X509Certificate(pem: Array(text.utf8), hosts: []) == nil)
    }
}

import CLibCrypto

/// What an operator has to know of a certificate (RFC 5280).
package struct X509Certificate: Sendable, Equatable {
    /// From when it is valid, in seconds since 1970-01-01T00:00:00Z.
    package let notBefore: Int64
    /// Until when it is valid.
    package let notAfter: Int64
    /// Of the hosts that were asked for, those that it names (RFC 6125).
    package let hosts: Set<String>

    /// Reads the first certificate of a PEM file: the server's own, where a chain follows. Safe on any thread.
    ///
    /// - Parameter hosts: names and addresses (without brackets) to look for in it.
    /// - Returns: `nil` where there is none that can be read.
    package init?(pem: [UInt8], hosts: some Sequence<String>) {
        guard pem.count <= 1 << 20, let source = BIO_new_mem_buf(pem, Int32(pem.count)) else { return nil }
        defer { BIO_free(source) }
        guard let certificate = PEM_read_bio_X509(source, nil, nil, nil) else {
            ERR_clear_error()
            return nil
        }
        defer { X509_free(certificate) }
        guard let begins = Self.seconds(X509_get0_notBefore(certificate)),
            let ends = Self.seconds(X509_get0_notAfter(certificate))
        else { return nil }
        notBefore = begins
        notAfter = ends
        self.hosts = Set(
            hosts.filter {
                X509_check_host(certificate, $0, $0.utf8.count, 0, nil) == 1
                    || X509_check_ip_asc(certificate, $0, 0) == 1
            })
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        guard let time, let epoch = ASN1_TIME_set(nil, 0) else { return nil }
        defer { ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return nil }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}

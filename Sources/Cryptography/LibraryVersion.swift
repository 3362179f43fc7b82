import CLibCrypto

/// The version of OpenSSL that this process runs on, such as `OpenSSL 3.0.15`; of its own text the date is left out.
package let libcryptoVersion: String = {
    let text = OpenSSL_version(OPENSSL_VERSION).map { String(cString: $0) } ?? "OpenSSL"
    return text.split(separator: " ").prefix(2).joined(separator: " ")
}()

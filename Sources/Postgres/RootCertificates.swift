import Glibc

/// Where the certificates of the authorities are by which a server's certificate is checked.
enum RootCertificates {
    /// Where systems keep theirs: Debian and Alpine, Fedora and its kin, others.
    static let ofSystems = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
    ]

    /// The file to check by, where libpq has none and would refuse every server: libpq before 16 does not know the
    /// system's.
    ///
    /// - Parameters:
    ///   - parameters: what the connection string says.
    ///   - environment: a variable's value.
    ///   - exists: whether there is a file.
    /// - Returns: `nil` where the server's certificate isn't checked, or the operator said by what.
    static func file(
        for parameters: [String: String], environment: (String) -> String?, exists: (String) -> Bool
    ) -> String? {
        let mode = parameters["sslmode"] ?? environment("PGSSLMODE") ?? ""
        guard mode == "verify-full" || mode == "verify-ca" else { return nil }
        let given = parameters["sslrootcert"] ?? environment("PGSSLROOTCERT")
        guard given == nil || given == "system" else { return nil }
        if given == nil, let home = environment("HOME"), exists("\(home)/.postgresql/root.crt") { return nil }
        return ofSystems.first(where: exists)
    }

    /// As the process finds it.
    static func file(for parameters: [String: String]) -> String? {
        file(
            for: parameters, environment: { name in getenv(name).map { String(cString: $0) } },
            exists: { access($0, R_OK) == 0 })
    }
}

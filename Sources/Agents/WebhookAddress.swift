import FoundationEssentials
import PairingCore

/// Where a web hook is sent: `https://host[:port][/path][?query]`. Stricter than a URL: no two readers of it may differ
/// about which host is meant.
package struct WebhookAddress: Sendable, Equatable {
    /// The greatest length, in bytes.
    package static let maximumBytes = 1024

    /// As it is stored and shown, its scheme and host in lower case.
    package let text: String
    /// The host's name in lower case, or its address without brackets.
    package let host: String
    /// The host, where it is written as an address.
    package let literal: ClientAddress?
    /// Whether it is `http`, which nobody's eyes are kept from.
    package let isPlain: Bool

    /// What is wrong with a text.
    package struct Problem: Error, Equatable, CustomStringConvertible {
        /// One sentence, and what is expected.
        package let description: String
    }

    /// Reads an address.
    package init(_ typed: String) throws(Problem) {
        guard typed.utf8.count <= Self.maximumBytes, typed.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem(
                description:
                    "Expected an address of at most \(Self.maximumBytes) ASCII characters without blanks."
            )
        }
        let scheme = typed.prefix { $0 != ":" }.lowercased()
        guard ["http", "https"].contains(scheme), typed.dropFirst(scheme.utf8.count).hasPrefix("://") else {
            throw Problem(description: "Expected an address such as https://example.org/hooks/nodes.")
        }
        let rest = typed.dropFirst(scheme.utf8.count + 3)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest[authority.endIndex...]
        guard !typed.contains("#"), !authority.contains("@"), !typed.contains("\\") else {
            throw Problem(
                description:
                    "An address has neither a name and password before its host, nor a backslash or # in it. Whoever "
                    + "receives it knows by the signature who sent it.")
        }
        guard let (host, port) = Self.split(authority.lowercased()) else {
            throw Problem(description: "Expected a host's name or address, and perhaps a port, behind ://.")
        }
        self.host = host
        literal = ClientAddress(host)
        isPlain = scheme == "http"
        let shown = host.contains(":") ? "[\(host)]" : host
        text = "\(scheme)://\(shown)\(port.map { ":\($0)" } ?? "")\(path.isEmpty ? "/" : String(path))"
        // Whoever connects reads it by this.
        guard let url = URL(string: text), let found = url.host, found == host || found == "[\(host)]" else {
            throw Problem(
                description: "This address can't be read. Encode unusual characters, such as %7B for {.")
        }
    }

    private static func split(_ authority: String) -> (host: String, port: UInt16?)? {
        var (host, rest) = (Substring(authority), Substring())
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            rest = authority[authority.index(after: end)...]
            guard host.contains(":"), ClientAddress(String(host)) != nil else { return nil }
        } else {
            host = authority.prefix { $0 != ":" }
            rest = authority[host.endIndex...]
            let isName = host.utf8.allSatisfy {
                (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 || $0 == 95
            }
            guard isName, !host.isEmpty, host.utf8.count <= 253, host.first != ".", host.first != "-" else {
                return nil
            }
        }
        if rest.isEmpty { return (String(host), nil) }
        guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0, rest.dropFirst().first != "+"
        else { return nil }
        return (String(host), port)
    }
}

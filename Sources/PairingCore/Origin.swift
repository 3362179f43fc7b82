/// A web origin (RFC 6454 §6.2): `https://nodes.example.org` or `http://127.0.0.1:8080`.
///
/// Kept in canonical form: lower case, no default port, no path, no trailing slash.
public struct Origin: Sendable, Hashable, CustomStringConvertible {
    /// The canonical text.
    public let text: String
    /// Host and, where it is not the default one, port: what a `Host` header must equal.
    public let authority: String
    /// Whether the scheme is `https`.
    public let isSecure: Bool

    /// Reads an origin; a slash at its end, which some libraries send, is no path.
    ///
    /// - Returns: `nil` for `null`, another scheme, user information, a path, an empty or ill-formed host,
    ///   or a port outside 1...65535.
    public init?(_ text: String) {
        // Checked before lower-casing, which makes a k of the Kelvin sign.
        guard text.utf8.allSatisfy({ $0 < 128 }) else { return nil }
        let lower = text.lowercased()
        let rest: Substring
        if lower.hasPrefix("https://") {
            isSecure = true
            rest = lower.dropFirst(8)
        } else if lower.hasPrefix("http://") {
            isSecure = false
            rest = lower.dropFirst(7)
        } else {
            return nil
        }
        guard let authority = Self.authority(String(rest), defaultPort: isSecure ? 443 : 80) else {
            return nil
        }
        self.authority = authority
        self.text = (isSecure ? "https://" : "http://") + authority
    }

    /// The canonical text.
    public var description: String { text }

    /// The port in decimal; `nil` for the scheme's default one.
    public var port: String? {
        let afterHost = authority.drop { $0 != "]" }.isEmpty ? authority[...] : authority.drop { $0 != "]" }
        return afterHost.lastIndex(of: ":").map { String(afterHost[afterHost.index(after: $0)...]) }
    }

    /// Whether a `Host` header names this origin.
    public func isServed(host: String) -> Bool {
        // In canonical form, as most send it.
        if host == authority { return true }
        return host.utf8.allSatisfy { $0 < 128 }
            && !host.hasSuffix("/")
            && Self.authority(host.lowercased(), defaultPort: isSecure ? 443 : 80) == authority
    }

    /// Host and port of what follows a scheme, in canonical form.
    static func authority(_ text: String, defaultPort: Int) -> String? {
        let text = text.hasSuffix("/") ? text.dropLast() : text[...]
        let host: Substring
        let rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[...end]
            rest = text[text.index(after: end)...]
            guard host.count > 3, host.dropFirst().dropLast().utf8.allSatisfy(isIPv6Byte) else { return nil }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy(isHostByte) else { return nil }
        }
        if rest.isEmpty { return String(host) }
        guard rest.first == ":", (2...6).contains(rest.count),
            rest.dropFirst().utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = Int(rest.dropFirst()), (1...65535).contains(port)
        else { return nil }
        return port == defaultPort ? String(host) : "\(host):\(port)"
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        isASCIIAlphanumeric(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    private static func isIPv6Byte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: ":"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// The cookies of a request (RFC 6265 §5.4).
public struct Cookies: Sendable, Equatable {
    private let values: [String: [String]]

    /// Reads a `Cookie` header; pairs without `=` are not cookies of ours and are ignored.
    public init(header: String?) {
        var values: [String: [String]] = [:]
        for pair in (header ?? "").utf8.split(separator: UInt8(ascii: ";")) {
            let trimmed = pair.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard let end = trimmed.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let value = String(trimmed[trimmed.index(after: end)...]) ?? ""
            values[String(trimmed[..<end]) ?? "", default: []].append(value)
        }
        self.values = values
    }

    /// The cookie's value; `nil` where there is none or an empty one.
    ///
    /// - Throws: where there are several of that name: another site of the same domain may have set one of
    ///   them, and which comes first says nothing.
    public func value(_ name: String) throws(RepeatedCookie) -> String? {
        let found = values[name] ?? []
        guard found.count <= 1 else { throw RepeatedCookie() }
        return found.first.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// A cookie came more than once.
public struct RepeatedCookie: Error, Equatable {}

/// Where cookies hold, as far as their names say it.
public struct CookieScope: Sendable, Equatable {
    /// Whether the browser came by `https`.
    public var isSecure: Bool
    /// The port that was dialled; `nil` for the default one. Cookies know no ports (RFC 6265 §8.5): without it
    /// in their names two installations on one host would sign each other's administrators out.
    public var port: String?

    /// Wraps the two.
    public init(isSecure: Bool, port: String? = nil) {
        self.isSecure = isSecure
        self.port = port
    }

    /// The scope of a request with this `Host` header.
    public init(host: String, origins: OriginPolicy) {
        isSecure = origins.usesSecureCookies(host: host)
        port = origins.dialled(host: host).first?.port
    }
}

/// The cookies this software sets.
public enum CookieName: String, Sendable {
    /// The session's secret.
    case session = "nodes_session"
    /// Tells a browser that signed in before from a stranger, and binds the sign-in form to it.
    case browser = "nodes_browser"
    /// The secret of a sign-in whose password was right and that waits for a one-time code.
    case waiting = "nodes_waiting"
    /// What the page after a redirect has to say, once.
    case notice = "nodes_notice"

    /// The name on the wire. The `__Host-` prefix makes the browser refuse one from another host or
    /// without TLS (RFC 6265bis §4.1.3.2).
    public func wireName(in scope: CookieScope) -> String {
        (scope.isSecure ? "__Host-" : "") + rawValue + (scope.port.map { "_" + $0 } ?? "")
    }

    /// A `Set-Cookie` value.
    ///
    /// - Parameter maximumAge: how long the browser keeps it; zero makes it forget the cookie.
    public func header(value: String, maximumAge: Duration, in scope: CookieScope) -> String {
        "\(wireName(in: scope))=\(value); Path=/; Max-Age=\(maximumAge.components.seconds); HttpOnly; "
            + "SameSite=Lax" + (scope.isSecure ? "; Secure" : "")
    }
}

/// The origin of an app's own pages: `capacitor://localhost`, or `https://app.example` for one that is served
/// elsewhere.
///
/// A web view makes its own of the app's scheme and host; as a page cannot choose it, it may stand for the app.
public struct DeviceOrigin: Sendable, Hashable {
    /// The canonical text: lower case, no default port, no trailing slash but that of `file://`.
    public let text: String

    /// Reads an origin of any scheme.
    ///
    /// - Returns: `nil` for `null`, a WebSocket's scheme, user information, a path, an ill-formed host or port, or
    ///   no host; `file://`, which some libraries send, has none.
    public init?(_ text: String) {
        if let origin = Origin(text) {
            self.text = origin.text
            return
        }
        let lower = text.lowercased()
        guard text.utf8.allSatisfy({ $0 < 128 }), let mark = lower.firstRange(of: "://") else { return nil }
        let scheme = lower[..<mark.lowerBound]
        guard scheme.first.map({ ("a"..."z").contains($0) }) == true,
            scheme.utf8.allSatisfy(Self.isSchemeByte),
            !["http", "https", "ws", "wss"].contains(scheme)
        else { return nil }
        let rest = lower[mark.upperBound...]
        if scheme == "file", rest.isEmpty || rest == "/" {
            self.text = "file://"
            return
        }
        // Other schemes have no default port.
        guard let authority = Origin.authority(String(rest), defaultPort: 0) else { return nil }
        self.text = "\(scheme)://\(authority)"
    }

    /// RFC 3986 §3.1.
    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        isASCIIAlphanumeric(byte) || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(byte)
    }
}

/// What `gateway.public_origins` and `gateway.device_origins` decide: who may upgrade or post, and which hosts are
/// served.
public struct OriginPolicy: Sendable, Equatable {
    /// The origins that are dialled, at least one.
    public let origins: [Origin]
    /// Further origins whose pages may upgrade, and do nothing else.
    public let deviceOrigins: [DeviceOrigin]

    /// Wraps the configured origins.
    public init(_ origins: [Origin], deviceOrigins: [DeviceOrigin] = []) {
        self.origins = origins
        self.deviceOrigins = deviceOrigins
    }

    /// Whether a request with this `Origin` header may post. A client that sends none is not a browser; `null`
    /// never may.
    public func allows(originHeader: String?) -> Bool {
        guard let originHeader else { return true }
        guard let origin = Origin(originHeader) else { return false }
        return origins.contains(origin)
    }

    /// Whether a request with this `Origin` header may upgrade: whoever may post, and apps.
    public func allowsUpgrade(originHeader: String?) -> Bool {
        if allows(originHeader: originHeader) { return true }
        guard let originHeader, let origin = DeviceOrigin(originHeader) else { return false }
        return deviceOrigins.contains(origin)
    }

    /// The origins that a `Host` header can mean; empty where the host is not served (421).
    public func dialled(host: String) -> [Origin] {
        origins.filter { $0.isServed(host: host) }
    }

    /// Whether cookies are `Secure`: where the host's origin is `https`.
    public func usesSecureCookies(host: String) -> Bool {
        dialled(host: host).contains { $0.isSecure }
    }
}

// What those who were refused are told. Header and setting are named, as one of the two is to be changed; what is
// configured is not told, as anybody can ask.
extension OriginPolicy {
    /// Why an `Origin` header may not upgrade, in sentences.
    public func upgradeRefusal(originHeader: String) -> String {
        let said = "The header Origin says \(quoted(originHeader))"
        if originHeader.lowercased() == "null" {
            return said + ", which every page without an origin of its own says. Such pages never connect."
        }
        guard let origin = DeviceOrigin(originHeader) else { return said + ", which is no web origin." }
        return said + ", which may not connect. Where it is an app's own, add \"\(origin.text)\" to "
            + "gateway.device_origins in the server's configuration; otherwise open the page under one of "
            + "gateway.public_origins."
    }

    /// Why a `Host` header is not served, in sentences.
    public func hostRefusal(host: String) -> String {
        let said = "The header Host says \(quoted(host)), which is not in gateway.public_origins."
        let plain = Self.withoutLastDot(host)
        // As a proxy may end TLS, the request does not say which scheme was dialled: it is that of the likest origin.
        let likest =
            dialled(host: plain ?? host).first
            ?? origins.first { Self.port($0.authority) == Self.port(host) } ?? origins.first
        guard let origin = Origin("\(likest?.isSecure == true ? "https" : "http")://\(host)") else {
            return said + " Dial a host that is."
        }
        guard let plain, !dialled(host: plain).isEmpty else {
            return said + " Dial a host that is, or add \"\(origin.text)\" to that setting."
        }
        return said
            + " Dial \(quoted(plain)), without the dot behind the name, or add \"\(origin.text)\" to "
            + "that setting."
    }

    private static func port(_ authority: String) -> Substring? {
        authority.last == "]" ? nil : authority.lastIndex(of: ":").map { authority[$0...] }
    }

    private static func withoutLastDot(_ host: String) -> String? {
        let name = host.prefix { $0 != ":" }
        guard name.last == "." else { return nil }
        return String(name.dropLast()) + host[name.endIndex...]
    }
}

/// What a peer or a person sent, in double quotes, for a message: at most 100 characters of it, what is not visible ASCII
/// as `\u{…}`, so that it can neither steer a terminal nor be mistaken for the message (I7).
public func quoted(_ value: String) -> String {
    var text = ""
    for scalar in value.unicodeScalars.prefix(100) {
        switch scalar {
        case "\"", "\\": text += "\\\(scalar)"
        case " "..."~": text.unicodeScalars.append(scalar)
        default: text += "\\u{\(String(scalar.value, radix: 16))}"
        }
    }
    return "\"\(text)\"" + (value.unicodeScalars.count > 100 ? "…" : "")
}

/// What people and devices dial, in the one spelling that browsers send (RFC 6454 §6.2).
enum PublicOrigin {
    /// Normalises `HTTPS://Nodes.Example.org:443/` to `https://nodes.example.org`.
    ///
    /// - Returns: `nil` for anything but `http` or `https`, a host in ASCII, and perhaps a port.
    static func normalised(_ text: String) -> String? {
        guard let separator = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<separator.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        var authority = text[separator.upperBound...].lowercased()[...]
        if authority.last == "/" { authority.removeLast() }

        var host = authority
        var port: Int?
        if let colon = authority.lastIndex(of: ":"), authority.last != "]" {
            let digits = authority[authority.index(after: colon)...]
            guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits),
                (1...65535).contains(number)
            else { return nil }
            host = authority[..<colon]
            port = number
        }
        guard isHost(host) else { return nil }
        let isDefault = port == nil || port == (scheme == "https" ? 443 : 80)
        return "\(scheme)://\(host)" + (isDefault ? "" : ":\(port ?? 0)")
    }

    private static func isHost(_ host: Substring) -> Bool {
        if host.first == "[", host.last == "]" {
            return host.count > 3
                && host.dropFirst().dropLast().allSatisfy { $0.isASCII && $0.isHexDigit || ":.".contains($0) }
        }
        return !host.isEmpty && host.first != "." && host.first != "-"
            && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) }
    }
}

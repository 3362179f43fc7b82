/// A client's IP address as nginx reports it. Recorded and counted by, never used as identity.
public struct ClientAddress: Sendable, Hashable, CustomStringConvertible {
    /// The four or sixteen bytes.
    public let bytes: [UInt8]

    /// Reads an IPv4 address in dotted form or an IPv6 address (RFC 4291 §2.2). An IPv4-mapped IPv6
    /// address is the IPv4 address.
    ///
    /// - Returns: `nil` for anything else, such as a zone index or a host name.
    public init?(_ text: String) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bytes = Self.ipv6(text) else { return nil }
            let mapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255
            self.bytes = mapped ? Array(bytes.suffix(4)) : bytes
        } else {
            guard let bytes = Self.ipv4(text[...]) else { return nil }
            self.bytes = bytes
        }
    }

    /// What limits "an address" count by: the address itself, or the /64 of an IPv6 address.
    public var limitKey: String { block(bits: bytes.count == 4 ? 32 : 64) }

    /// The network block that holds the address when limits in all are reached: /24, or /48 for IPv6.
    public var networkBlock: String { block(bits: bytes.count == 4 ? 24 : 48) }

    /// The address's text; IPv6 as eight groups in hexadecimal with the longest run of zeros not shortened.
    public var description: String { Self.text(bytes) }

    /// What to say, to people and in the log, of a client whose address the web server did not pass on.
    ///
    /// - Parameter text: what it sent instead. Only the web server can have written it.
    public static func absence(sent text: String) -> String {
        let seen = text.isEmpty ? "nothing" : quoted(String(text.prefix(64)))
        return
            "The web server does not say which address this request came from: it sent \(seen). Where nginx listens "
            + "on a unix socket behind another proxy, let it believe that proxy: set_real_ip_from unix:; and "
            + "real_ip_header X-Forwarded-For;"
    }

    private func block(bits: Int) -> String {
        let kept = bits / 8
        return Self.text(Array(bytes.prefix(kept)) + Array(repeating: 0, count: bytes.count - kept))
            + "/\(bits)"
    }

    private static func text(_ bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map { String($0) }.joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2).map {
            String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16)
        }.joined(separator: ":")
    }

    private static func ipv4(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let value = UInt8(part)
            else { return nil }
            bytes.append(value)
        }
        return bytes
    }

    private static func ipv6(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 45 else { return nil }
        let halves = splitAtDoubleColon(text)
        guard let tailText = halves.tail else {
            return groups(halves.head, endsAddress: true).flatMap { $0.count == 16 ? $0 : nil }
        }
        guard let head = groups(halves.head, endsAddress: false),
            let tail = groups(tailText, endsAddress: true), head.count + tail.count <= 14
        else { return nil }
        return head + Array(repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    private static func splitAtDoubleColon(_ text: String) -> (head: Substring, tail: Substring?) {
        let bytes = text.utf8
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let next = bytes.index(after: index)
            if bytes[index] == 58, next < bytes.endIndex, bytes[next] == 58 {
                return (text[..<index], text[bytes.index(after: next)...])
            }
            index = next
        }
        return (text[...], nil)
    }

    /// - Parameter endsAddress: whether the last group may be an IPv4 address (RFC 4291 §2.2).
    private static func groups(_ text: Substring, endsAddress: Bool) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if endsAddress, index == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
                guard let address = ipv4(part) else { return nil }
                bytes += address
            } else {
                guard (1...4).contains(part.utf8.count), let value = UInt16(part, radix: 16),
                    part.utf8.allSatisfy(isASCIIAlphanumeric)
                else { return nil }
                bytes += [UInt8(value >> 8), UInt8(value & 255)]
            }
        }
        return bytes
    }
}

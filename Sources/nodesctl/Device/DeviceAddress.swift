import DeviceClient
import PairingCore

extension DeviceAddress {
    /// Reads a URL.
    ///
    /// - Parameters:
    ///   - url: such as `ws://127.0.0.1:8080/ws`.
    ///   - served: the public origin, where the URL leads to a tunnel's end instead of to the server itself.
    /// - Throws: ``CommandFailure`` with what was expected.
    init(_ url: String, served: Origin? = nil) throws(CommandFailure) {
        let lower = url.lowercased()
        if lower.hasPrefix("wss://") {
            throw CommandFailure(
                .usage,
                "This device speaks no TLS. Run a TLS tunnel, such as stunnel or socat, from a loopback port to the "
                    + "server, and give --url ws://127.0.0.1:PORT/ws --origin https://HOST.")
        }
        guard lower.hasPrefix("ws://") else {
            throw CommandFailure(
                .usage, "\(url) is not a WebSocket URL; give one such as ws://127.0.0.1:8080/ws.")
        }
        let rest = url.dropFirst(5)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest[authority.endIndex...]
        guard let dialled = Origin("http://\(authority)"), !path.contains("#"),
            path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw CommandFailure(
                .usage, "\(url) has no usable host, port or path; give one such as ws://127.0.0.1:8080/ws.")
        }
        let parts = Self.split(dialled.authority)
        self.init(
            host: parts.host, port: parts.port,
            path: path.isEmpty ? "/" : path.first == "/" ? String(path) : "/" + path,
            origin: served ?? dialled)
    }

    /// Splits an authority in canonical form, as ``Origin`` has checked it.
    private static func split(_ authority: String) -> (host: String, port: Int) {
        let bracket = authority.lastIndex(of: "]")
        let colon = authority[(bracket ?? authority.startIndex)...].firstIndex(of: ":")
        let host = authority[..<(colon ?? authority.endIndex)]
        let port = colon.flatMap { Int(authority[authority.index(after: $0)...]) } ?? 80
        return (String(bracket == nil ? host : host.dropFirst().dropLast()), port)
    }
}

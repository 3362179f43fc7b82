import PairingCore

/// Where a device dials: the parts of a `ws://` URL (RFC 6455 §3).
package struct DeviceAddress: Equatable, Sendable {
    /// The name or address to connect to; an IPv6 address without brackets.
    package let host: String
    /// The port to connect to.
    package let port: Int
    /// The path and query of the request.
    package let path: String
    /// What the server believes was dialled: its authority is the `Host` header, and proofs are signed for it.
    package let origin: Origin

    package init(host: String, port: Int, path: String, origin: Origin) {
        self.host = host
        self.port = port
        self.path = path
        self.origin = origin
    }
}

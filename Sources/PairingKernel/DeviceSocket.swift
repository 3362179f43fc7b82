import PairingCore

/// Why the kernel ends a socket.
public enum SocketClosure: Sendable, Hashable {
    /// The pairing was revoked: close with 4001.
    case revoked
    /// A newer session of the device exists: close with 4002.
    case replaced
    /// The request was denied: close with 4003, after the event that says so.
    case denied
    /// This instance lost touch with the database for too long: close with 1013.
    case authorityLost
    /// The administrator's authority has ended: close with 1008.
    case authorityEnded
    /// The device's channel ends the session: close with 1008 and its reason, of at most 120 bytes.
    case endedByChannel(String)
    /// The device's channel can't take what is for the device at the moment: close with 1013.
    case channelUnavailable
}

/// A socket as the kernel sees it. The gateway implements it.
///
/// Threads: every method may be called from any thread and never blocks; calls take effect in the order in
/// which they were made.
public protocol DeviceSocket: AnyObject, Sendable {
    /// Unique for the life of the process, growing with every accepted socket.
    var id: SocketID { get }
    /// The address of the client at the other end.
    var address: ClientAddress { get }
    /// The device at the other end proved its pairing; its session is being established, and a refusal of the request
    /// says that nothing came of it. It takes none of the strangers' room from now on (I13).
    func proven()
    /// Sends `device.pair.resolved`; with a grant, the socket is that session from now on.
    func resolve(_ resolution: PairingResolution)
    /// Sends an event.
    func deliver(_ frame: ChannelFrame)
    /// Whether some of what was delivered before this call still waits for a slow client.
    func isBehind() async -> Bool
    /// Stops delivering to the device, until ``resume()`` or ``close(_:)``; what it asks is read and answered.
    func suspend()
    /// Ends ``suspend()``.
    func resume()
    /// Stops reading at once, writes what is queued and not withheld, then closes. Where the authority was lost, a
    /// request under way is answered first.
    func close(_ closure: SocketClosure)
}

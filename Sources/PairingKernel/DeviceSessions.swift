import PairingCore
import ServiceLifecycle

/// The live sockets of one gateway: what the device methods of the protocol lead to.
///
/// It knows which socket is which device's session, acts on the event feed, and reconciles with the
/// database, so that no socket outlives its authority (I3). One per gateway process.
public final class DeviceSessions: Service, Sendable {
    /// This gateway, new with each start.
    public let instanceID: InstanceID

    /// `device.pair.request`: asks to pair, or repeats a request; the socket waits for the decision.
    ///
    /// - Throws: a ``Refusal``; nothing was stored, except that a rival claim is shown to administrators.
    public func requestPairing(
        _ claim: PairingClaim, from peer: Peer, on socket: any DeviceSocket
    ) async throws(Refusal) -> PairingAnswer {
        throw .internal
    }

    /// `device.pair.status`: tells whoever proves the credential where its request or pairing stands.
    public func status(of identity: DeviceIdentity, from peer: Peer) async throws(Refusal) -> PairingStatus {
        throw .internal
    }

    /// `connect`: makes the socket the device's session, or lets it wait for the decision.
    ///
    /// An older session of the device, on any instance, is closed with 4002.
    public func connect(
        _ identity: DeviceIdentity, from peer: Peer, on socket: any DeviceSocket
    ) async throws(Refusal) -> ConnectAnswer {
        throw .internal
    }

    /// Messages the device has not acknowledged are delivered again on a new session; the gateway calls
    /// this once its answer to `connect` (or `device.pair.resolved`) is on its way.
    public func begin(_ grant: SessionGrant, on socket: any DeviceSocket) {}

    /// `message.send`: stores the message under the device's lock; it is acknowledged by the return (I4).
    ///
    /// - Parameters:
    ///   - id: the device's identifier, 1 to 128 bytes; a repeat gets the first receipt.
    ///   - body: compact JSON text.
    public func send(
        id: String, body: String, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageReceipt {
        throw .internal
    }

    /// `message.ack`: the device has everything up to and including `sequence`.
    public func acknowledge(
        upTo sequence: Int64, grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) {
        throw .internal
    }

    /// Closes the socket with ``SocketClosure/authorityEnded`` within seconds of the authority's end.
    public func watch(_ authority: Authority, on socket: any DeviceSocket) {}

    /// The socket is gone. Never blocks; the database learns of it soon after.
    public func detach(_ socket: any DeviceSocket) {}

    /// Whether this instance may act: it confirmed its sessions with the database within its lease.
    public var hasAuthority: Bool { false }

    /// Follows the event feed, keeps the lease and reconciles, until graceful shutdown.
    public func run() async throws {}

    init(instanceID: InstanceID) { self.instanceID = instanceID }
}

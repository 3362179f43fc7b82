import NIOCore
import PairingCore
import PairingKernel

/// What the configuration decides about sockets.
public struct GatewaySettings: Sendable {
    /// Which origins may upgrade, and which hosts are served.
    public var origins: OriginPolicy
    /// The Unix socket's path.
    public var socketPath: String
    /// The greatest message before `connect`, in bytes.
    public var maximumMessageBeforeConnect = 64 << 10
    /// The greatest message after `connect`, in bytes.
    public var maximumMessage = 512 << 10
    /// The greatest number of frames one message may come in.
    public var maximumFragments = 128
    /// For the first `connect` or `device.pair.request`.
    public var firstRequestTimeout = Duration.seconds(15)
    /// Between pings.
    public var pingInterval = Duration.seconds(30)
    /// Without a byte from the client before it is given up.
    public var silenceTimeout = Duration.seconds(75)
    /// The most sockets of this instance.
    public var sockets = 16_000
    /// The most sockets that nobody has authenticated; the room beyond them is for paired devices.
    public var unauthenticatedSockets = 2000
    /// The most unauthenticated sockets of one address (IPv6: of one /64).
    public var unauthenticatedSocketsPerAddress = 200
    /// The most sockets of one network block (/24, or /48 for IPv6) that wait for a decision.
    public var waitingSocketsPerBlock = 100
    /// Frames a second of one socket; beyond them it is read more slowly.
    public var framesPerSecond = 20
    /// Frames of one socket at once.
    public var framesBurst = 60
    /// Requests of one socket that are worked on at once; it is not read on while there are as many.
    public var windowRequests = 64
    /// The bytes of these, as they came; one request more is read than fits.
    public var windowBytes = 1 << 20
    /// Signature checks a second of this instance; half of them at most for one address.
    public var signaturesPerSecond = 2000
    /// The most bytes that wait for one client.
    public var outboundQueueBytes = 1 << 20
    /// The most messages that wait for one client.
    public var outboundQueueMessages = 256
    /// The dialects that are served.
    public var dialects = Set(DialectName.allCases)
    /// After what silence a socket whose dialect is not known is challenged as OpenClaw's clients expect; zero: never.
    public var lateChallenge = Duration.zero
    /// The most HTTP requests of one device, or of one API token, that are under way on this instance.
    public var httpRequestsPerDevice = 8
    /// Requests a second of one token that uses tools, four times as many at once.
    public var toolCallsPerSecond = 20
    /// The greatest body of these, in bytes.
    public var maximumHTTPBody = 1 << 20
    /// How long one waits for its answer.
    public var answerTimeout = Duration.seconds(300)
    /// The most pages that follow events on this instance.
    public var eventStreams = 2000
    /// Of these, of one account.
    public var eventStreamsPerAccount = 50
    /// The time over which a stopping instance closes its sockets.
    public var shutdownSpread = Duration.seconds(5)

    /// The defaults of the design for these origins and this socket.
    public init(origins: OriginPolicy, socketPath: String) {
        self.origins = origins
        self.socketPath = socketPath
    }

    var socketLimits: SocketLimits {
        SocketLimits(
            sockets: sockets, strangers: unauthenticatedSockets,
            strangersPerAddress: unauthenticatedSocketsPerAddress, waitingPerBlock: waitingSocketsPerBlock)
    }

    var windowLimits: DeviceExchange.Window.Limits {
        DeviceExchange.Window.Limits(requests: windowRequests, bytes: windowBytes)
    }

    /// The same for a dialect, of which some clients send their text in binary messages.
    func limits(_ limits: WebSocketLimits, for dialect: DialectName) -> WebSocketLimits {
        var limits = limits
        limits.acceptsBinary = dialect == .openclaw
        return limits
    }

    var limitsBeforeConnect: WebSocketLimits {
        WebSocketLimits(messageSize: maximumMessageBeforeConnect, fragments: maximumFragments)
    }

    var limitsAfterConnect: WebSocketLimits {
        WebSocketLimits(messageSize: maximumMessage, fragments: maximumFragments)
    }

    /// Between pings, and without a byte before a device is given up: a channel asks for less, never for more. A
    /// device that answers every ping is never given up.
    func times(within limits: ChannelLimits) -> (ping: Duration, silence: Duration) {
        let ping = limits.heartbeat.map { min(pingInterval, max($0, .seconds(1))) } ?? pingInterval
        let silence = limits.silence.map { min(silenceTimeout, max($0, ping * 2)) } ?? silenceTimeout
        return (ping, silence)
    }

    var webSocket: WebSocketConfiguration {
        WebSocketConfiguration(
            limits: limitsBeforeConnect,
            times: WebSocketTimes(ping: TimeAmount(pingInterval), silence: TimeAmount(silenceTimeout)),
            queue: OutboundQueue.Limits(bytes: outboundQueueBytes, frames: outboundQueueMessages),
            frameRate: (perSecond: Double(framesPerSecond), burst: Double(framesBurst)))
    }
}

/// A channel: one kind of device and its rules.
///
/// Conform one type to this protocol and export it from the library:
///
/// ```swift
/// @c(goclaw_channel_entry)
/// public func entry(host: HostTable?) -> ChannelTable? { MyChannel.table(for: host) }
/// ```
///
/// The host makes one instance and calls it from several threads at a time; calls for one session come one
/// after the other. They may block, but only for seconds, and there are few threads: slow work returns
/// ``Answer/later(_:)``. Keep no state that matters: any process may die at any instant, and a device's next
/// connection may be to another one.
public protocol Channel: Sendable {
    /// What the operator configures, as JSON. ``NoConfiguration`` where there is nothing to configure.
    associatedtype Configuration: Decodable & Sendable = NoConfiguration

    /// Scratch state of one session, lost with it. `Void` where there is none.
    associatedtype SessionState: Sendable = Void

    /// Who this channel is; the same as in the manifest beside the library.
    static var identity: Identity { get }

    /// What this channel asks the host to keep for it.
    static var declarations: Declarations { get }

    /// Makes the instance.
    ///
    /// - Throws: what is wrong with the configuration; the channel is then refused, for that reason.
    init(configuration: Configuration, host: Host) throws(ConfigurationError)

    /// What the host enforces for this channel; asked once, after `init`.
    var limits: Limits { get }

    /// Reviews a request to pair before anybody sees it.
    ///
    /// - Returns: facts the administrator sees before deciding; the host keeps 32.
    /// - Throws: why the device may not ask.
    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail>

    /// A paired device has connected.
    ///
    /// - Throws: why it may not; no other call for this session follows.
    func opened(_ session: Session) throws(Refusal) -> SessionState

    /// After how long without a message of this device its agent is told; asked after ``opened(_:)``.
    ///
    /// - Returns: ascending, up to 8; empty for never; `nil` for ``Declarations/silencePeriods``, which a host before
    ///   ABI 1.2 takes in any case, and of which there has to be one.
    func silencePeriods(of session: Session, state: SessionState) -> [Duration]?

    /// The connection has ended; the last call for this session.
    func closed(_ session: Session, state: SessionState, reason: String)

    /// Turns a device's message into any number of agent messages and of frames for the device.
    ///
    /// The same message may come again, with the same number, after a failure anywhere.
    ///
    /// - Throws: why the message is refused.
    func receive(
        _ message: DeviceMessage, in session: Session, state: inout SessionState
    ) throws(Refusal) -> Answer<Output>

    /// Turns an agent's message into any number of frames for the device.
    ///
    /// - Throws: why the message is refused.
    func deliver(
        _ message: AgentMessage, in session: Session, state: inout SessionState
    ) throws(Refusal) -> Answer<DeviceFrame>

    /// Time has passed; called every ``Limits/tick``, never twice at the same time.
    func tick(atMilliseconds clock: Int64)

    /// What the channel has to say by itself; asked every ``Limits/tick``, after ``tick(atMilliseconds:)``.
    ///
    /// - Returns: frames for live sessions, each lost where its session has ended. A host of ABI 1.0 sends none, one
    ///   of 1.1 takes 1,024 at once.
    func frames(atMilliseconds clock: Int64) -> [SessionFrame]
}

extension Channel {
    /// The host's defaults.
    public var limits: Limits { Limits() }

    /// Lets every request pass to the administrator, without details.
    public func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> { [] }

    /// Those that are declared for every device.
    public func silencePeriods(of session: Session, state: SessionState) -> [Duration]? { nil }

    /// Does nothing.
    public func closed(_ session: Session, state: SessionState, reason: String) {}

    /// Passes the message to the agent as it is.
    public func receive(
        _ message: DeviceMessage, in session: Session, state: inout SessionState
    ) throws(Refusal) -> Answer<Output> {
        [.message(AgentMessage(body: message.body))]
    }

    /// Sends the message to the device as a frame `message`.
    public func deliver(
        _ message: AgentMessage, in session: Session, state: inout SessionState
    ) throws(Refusal) -> Answer<DeviceFrame> {
        [DeviceFrame(message: message)]
    }

    /// Does nothing.
    public func tick(atMilliseconds clock: Int64) {}

    /// Nothing.
    public func frames(atMilliseconds clock: Int64) -> [SessionFrame] { [] }

    /// Asks for nothing.
    public static var declarations: Declarations { Declarations() }
}

extension Channel where SessionState == Void {
    /// Accepts every session.
    public func opened(_ session: Session) throws(Refusal) {}
}

/// The configuration of a channel that has none.
public struct NoConfiguration: Decodable, Sendable {
    /// There is nothing in it.
    public init() {}
}

/// Who a channel is.
public struct Identity: Sendable {
    /// The channel's ID: `[a-z][a-z0-9_-]{0,31}`.
    public var id: String
    /// For administrators; up to 64 characters.
    public var displayName: String
    /// The channel's own version, such as `1.4.0`.
    public var version: String

    /// Makes an identity.
    public init(id: String, displayName: String, version: String) {
        self.id = id
        self.displayName = displayName
        self.version = version
    }
}

/// What a channel asks the host to enforce. `nil` leaves a limit to the host, whose own also bound these.
public struct Limits: Sendable {
    /// Whether a device must have a key; one with a bare token is then refused before review.
    public var requiresKey = false
    /// The greatest size of a device's message, in bytes.
    public var maximumMessageBytes: UInt32?
    /// How many messages a second one device may send in the long run.
    public var messagesPerSecond: Double?
    /// How many messages one device may send at once after a pause.
    public var burst: UInt32?
    /// The time between the host's pings.
    public var heartbeat: Duration?
    /// The time without a byte from the device after which its session is closed.
    public var silence: Duration?
    /// The life of a request that nobody decides.
    public var pairingLifetime: Duration?
    /// The time between calls of ``Channel/tick(atMilliseconds:)``; `nil`: it is never called.
    public var tick: Duration?

    /// Leaves everything to the host.
    public init() {}
}

import ChannelKit

/// What this library exports.
@c(goclaw_channel_entry)
public func entry(host: HostTable?) -> ChannelTable? { IoTChannel.table(for: host) }

/// The channel of sensors that send readings again and again.
struct IoTChannel: Channel {
    struct Configuration: Decodable {
        /// How many messages a second a device may send in the long run; default: 10.
        var messagesPerSecond: Double?
        /// The shortest period a device may declare for a reading, in milliseconds; default: 100.
        var minimumPeriodMs: Int?
    }

    static let identity = Identity(id: "iot", displayName: "IoT", version: "1.2.0")

    /// Agents want a minute's readings rather than each, and to hear of a sensor that went silent, which each sensor's own
    /// periods decide; a command that is late is worse than none.
    static var declarations: Declarations {
        var declarations = Declarations()
        declarations.batchMessages = 100
        declarations.batchTime = .seconds(60)
        declarations.silencePeriods = [.seconds(15 * 60), .seconds(24 * 3600)]
        declarations.commandLifetime = .seconds(10 * 60)
        return declarations
    }

    private let messagesPerSecond: Double
    private let minimumPeriod: Int

    init(configuration: Configuration, host: Host) throws(ConfigurationError) {
        messagesPerSecond = configuration.messagesPerSecond ?? 10
        guard messagesPerSecond > 0, messagesPerSecond <= 1000 else {
            throw ConfigurationError(
                "messagesPerSecond is \(messagesPerSecond), expected more than 0 and up to 1000.")
        }
        minimumPeriod = configuration.minimumPeriodMs ?? 100
        guard (1...Declaration.maximumPeriod).contains(minimumPeriod) else {
            throw ConfigurationError(
                "minimumPeriodMs is \(minimumPeriod), expected 1 to \(Declaration.maximumPeriod).")
        }
    }

    var limits: Limits {
        var limits = Limits()
        limits.requiresKey = true
        limits.maximumMessageBytes = 64 * 1024
        limits.messagesPerSecond = messagesPerSecond
        limits.burst = UInt32(max(20, messagesPerSecond.rounded(.up) * 2))
        return limits
    }

    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
        guard claim.senderID.utf8.count >= 3 else {
            throw .invalid(
                "invalid_sender_id",
                "The senderId of an iot device has at least 3 characters, such as its serial number.")
        }
        let declaration = try Declaration(metadata: claim.metadata, minimumPeriod: minimumPeriod)
        return .now(declaration.details)
    }

    func opened(_ session: Session) throws(Refusal) -> Declaration {
        // The shortest period was checked when the device paired; what was approved stays approved.
        try Declaration(metadata: session.metadata, minimumPeriod: 1)
    }

    func silencePeriods(of session: Session, state declaration: Declaration) -> [Duration]? {
        // And once more when that has lasted for a day.
        let missed = declaration.silence
        return missed < .seconds(24 * 3600) ? [missed, .seconds(24 * 3600)] : [missed]
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state declaration: inout Declaration
    ) throws(Refusal) -> Answer<Output> {
        switch try message.body.decode(SensorMessage.self) {
        case .acknowledgement:
            return [.message(AgentMessage(body: message.body))]
        case .readings(let values, let at):
            let readings = try declaration.check(values)
            let report = SensorReport(at: at ?? message.receivedMilliseconds, readings: readings)
            return [.message(AgentMessage(body: try JSON(encoding: report)))]
        }
    }

    func deliver(
        _ message: AgentMessage, in session: Session, state: inout Declaration
    ) throws(Refusal) -> Answer<DeviceFrame> {
        // What an agent says is its own affair; only a command gets a frame of its own.
        let isCommand = (try? message.body.decode(SensorCommand.self)) != nil
        return [DeviceFrame(event: isCommand ? "command" : "message", message: message)]
    }
}

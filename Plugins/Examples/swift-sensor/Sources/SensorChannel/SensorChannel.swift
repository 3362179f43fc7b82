import ChannelKit

/// What this library exports.
@c(goclaw_channel_entry)
public func entry(host: HostTable?) -> ChannelTable? { SensorChannel.table(for: host) }

/// The channel of thermometers.
struct SensorChannel: Channel {
    struct Configuration: Decodable {
        /// The rooms that may have a thermometer; left out: any.
        var rooms: [String]?
    }

    /// What a thermometer says of itself when it asks to pair.
    struct Thermometer: Decodable {
        var room: String
        var model: String?
    }

    /// A message of a thermometer.
    struct Reading: Codable {
        /// In degrees Celsius.
        var temperature: Double
    }

    static let identity = Identity(id: "sensor", displayName: "Thermometers", version: "1.0.0")

    private let rooms: Set<String>?

    init(configuration: Configuration, host: Host) throws(ConfigurationError) {
        if let rooms = configuration.rooms, rooms.isEmpty {
            throw ConfigurationError("rooms is empty, expected one at least; leave it out to allow any.")
        }
        rooms = configuration.rooms.map { Set($0) }
    }

    var limits: Limits {
        var limits = Limits()
        limits.requiresKey = true
        limits.pairingLifetime = .seconds(10 * 60)
        return limits
    }

    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
        let thermometer = try claim.metadata.decode(Thermometer.self)
        if let rooms, !rooms.contains(thermometer.room) {
            throw .forbidden(
                "unknown_room",
                "The room is none of those configured: correct it, or have the operator add it to rooms.")
        }
        return [Detail("Room", thermometer.room), Detail("Model", thermometer.model ?? "unknown")]
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<Output> {
        let reading = try message.body.decode(Reading.self)
        guard (-273.15...1000).contains(reading.temperature) else {
            throw .invalid("implausible", "The temperature is not between -273.15 and 1000 degrees Celsius.")
        }
        return [.message(AgentMessage(body: try JSON(encoding: reading)))]
    }
}

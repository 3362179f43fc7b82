import ChannelKit

/// What this library exports.
@c(goclaw_channel_entry)
public func entry(host: HostTable?) -> ChannelTable? { OpenClawChannel.table(for: host) }

/// The channel of OpenClaw's clients: operators that talk, and nodes that carry out commands.
struct OpenClawChannel: Channel {
    struct Configuration: Decodable {
        /// Whether a client must have a key of its own, so that those that show a token alone are refused; default: no.
        var requireKey: Bool?
        /// The greatest length of a text message, in characters; default and maximum: 32,000.
        var maximumCharacters: Int?
    }

    static let identity = Identity(id: "openclaw", displayName: "OpenClaw", version: "1.0.0")
    static let maximumCharacters = 32_000

    private let requiresKey: Bool
    private let maximumCharacters: Int

    init(configuration: Configuration, host: Host) throws(ConfigurationError) {
        requiresKey = configuration.requireKey ?? false
        maximumCharacters = configuration.maximumCharacters ?? Self.maximumCharacters
        guard (1...Self.maximumCharacters).contains(maximumCharacters) else {
            throw ConfigurationError(
                "maximumCharacters is \(maximumCharacters), expected 1 to \(Self.maximumCharacters).")
        }
    }

    var limits: Limits {
        var limits = Limits()
        limits.requiresKey = requiresKey
        // A character takes up to six bytes of JSON, or twelve as a pair of escapes.
        limits.maximumMessageBytes = 12 * UInt32(maximumCharacters) + 1024
        return limits
    }

    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
        guard isDeviceID(claim.senderID) else {
            throw .invalid(
                "invalid_sender_id",
                "The senderId of an openclaw device is the SHA-256 of its key as 64 hexadecimal digits, or oc- and 16 "
                    + "of them for a client without a key.")
        }
        return .now(try claim.metadata.decode(Presentation.self).details)
    }

    func opened(_ session: Session) throws(Refusal) -> Presentation {
        try session.metadata.decode(Presentation.self)
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Presentation
    ) throws(Refusal) -> Answer<Output> {
        switch try message.body.decode(ClientMessage.self) {
        case .text(let text):
            guard text.unicodeScalars.count <= maximumCharacters else {
                throw .invalid(
                    "text_too_long",
                    "The text has \(text.unicodeScalars.count) characters; up to \(maximumCharacters) are "
                        + "allowed. Send it in several messages.")
            }
        case .acknowledgement(let command):
            try state.require(command)
        }
        return [.message(AgentMessage(body: message.body))]
    }

    func deliver(
        _ message: AgentMessage, in session: Session, state: inout Presentation
    ) throws(Refusal) -> Answer<DeviceFrame> {
        if message.part != nil { return [DeviceFrame(event: "message.part", message: message)] }
        // What an agent says is its own affair; only a command gets a frame of its own.
        if let command = try? message.body.decode(Command.self) {
            try state.require(command.name)
            return [DeviceFrame(event: "command", message: message)]
        }
        return [DeviceFrame(message: message)]
    }
}

/// Whether it is the hash of a key or of a client's own token, with `:node` behind it for a node.
private func isDeviceID(_ text: String) -> Bool {
    let prefix = "oc-"
    let node = ":node"
    var digits = text.hasSuffix(node) ? text.dropLast(node.count) : text[...]
    let length = digits.hasPrefix(prefix) ? 16 : 64
    if digits.hasPrefix(prefix) { digits = digits.dropFirst(prefix.count) }
    guard digits.utf8.count == length else { return false }
    return digits.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
    }
}

import ChannelKit

/// What this library exports.
@c(goclaw_channel_entry)
public func entry(host: HostTable?) -> ChannelTable? { WebChannel.table(for: host) }

/// The channel of tablets and browsers.
struct WebChannel: Channel {
    struct Configuration: Decodable {
        /// Whether a browser must have a key; default: no.
        var requireKey: Bool?
        /// The greatest length of a text message, in characters; default and maximum: 32,000.
        var maximumCharacters: Int?
    }

    static let identity = Identity(id: "web", displayName: "Web", version: "1.2.0")
    static let maximumCharacters = 32_000

    /// Whoever looks at the page wants to see that somebody writes.
    static var declarations: Declarations {
        var declarations = Declarations()
        declarations.typing = true
        return declarations
    }

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
        guard isSlug(claim.senderID) else {
            throw .invalid(
                "invalid_sender_id",
                "The senderId of a web device is made of letters and digits with single hyphens, dots or "
                    + "underscores between them, up to 64 characters, such as tablet-reception-01.")
        }
        return .now(try claim.metadata.decode(Browser.self).details)
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<Output> {
        switch try message.body.decode(WebMessage.self) {
        case .text(let text):
            guard text.unicodeScalars.count <= maximumCharacters else {
                throw .invalid(
                    "text_too_long",
                    "The text has \(text.unicodeScalars.count) characters; up to \(maximumCharacters) are "
                        + "allowed. Send it in several messages.")
            }
        case .typing: return .ephemeral()
        case .acknowledgement, .data: break
        }
        return [.message(AgentMessage(body: message.body))]
    }

    func deliver(
        _ message: AgentMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<DeviceFrame> {
        if message.part != nil { return [DeviceFrame(event: "message.part", message: message)] }
        // What an agent says is its own affair; only a typing notice gets a frame of its own.
        if case .typing? = try? message.body.decode(WebMessage.self) {
            return [DeviceFrame(event: "typing", message: message)]
        }
        return [DeviceFrame(message: message)]
    }
}

/// Letters and digits with single separators between them.
private func isSlug(_ text: String) -> Bool {
    var afterSeparator = true
    for byte in text.utf8 {
        let isSeparator = "-._".utf8.contains(byte)
        guard !(isSeparator && afterSeparator), isSeparator || isLetterOrDigit(byte) else { return false }
        afterSeparator = isSeparator
    }
    return !afterSeparator && text.utf8.count <= 64
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}

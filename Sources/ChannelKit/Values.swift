/// With what a device proves who it is.
public enum Credential: Sendable {
    /// A bare token.
    case token
    /// An Ed25519 key, whose possession it proved.
    case key
}

/// A device's request to pair.
public struct Claim: Sendable {
    /// The device's stable identifier; `[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}`. A channel may refuse more.
    public var senderID: String
    /// The name the device claims; empty where it claims none.
    public var displayName: String
    /// With what it proves who it is.
    public var credential: Credential
    /// A JSON object of at most 16 KiB; empty where the device sent none.
    public var metadata: JSON

    /// Makes a claim, as a channel's tests do.
    public init(
        senderID: String, displayName: String = "", credential: Credential = .token, metadata: String = ""
    ) {
        self.senderID = senderID
        self.displayName = displayName
        self.credential = credential
        self.metadata = JSON(text: metadata, name: "metadata")
    }
}

/// A labelled fact that the administrator sees before deciding.
public struct Detail: Sendable, Equatable {
    /// Up to 64 characters.
    public var label: String
    /// Up to 256 characters; the host cuts longer ones and removes what does not print.
    public var value: String

    /// Makes a detail.
    public init(_ label: String, _ value: String) {
        self.label = label
        self.value = value
    }
}

/// One live connection of a paired device.
public struct Session: Sendable {
    /// Unique for the life of the process.
    public var id: UInt64
    /// As in the claim.
    public var senderID: String
    /// With what the device proved who it is.
    public var credential: Credential
    /// The metadata as it was when the pairing was approved.
    public var metadata: JSON
    /// When it connected, in milliseconds since 1970-01-01T00:00:00Z.
    public var openedMilliseconds: Int64

    /// Makes a session, as a channel's tests do.
    public init(
        id: UInt64, senderID: String, credential: Credential = .token, metadata: String = "",
        openedMilliseconds: Int64 = 0
    ) {
        self.id = id
        self.senderID = senderID
        self.credential = credential
        self.metadata = JSON(text: metadata, name: "metadata")
        self.openedMilliseconds = openedMilliseconds
    }
}

/// A message of a device.
public struct DeviceMessage: Sendable {
    /// Per device, from 1, without gaps; a repeat has the same number.
    public var number: Int64
    /// As the device gave it.
    public var id: String
    /// When it came, in milliseconds since 1970-01-01T00:00:00Z.
    public var receivedMilliseconds: Int64
    /// One JSON value.
    public var body: JSON

    /// Makes a message, as a channel's tests do.
    public init(number: Int64, id: String, receivedMilliseconds: Int64 = 0, body: String) {
        self.number = number
        self.id = id
        self.receivedMilliseconds = receivedMilliseconds
        self.body = JSON(text: body, name: "message")
    }
}

/// A message to an agent, or from one.
public struct AgentMessage: Sendable, Equatable {
    /// Which part of a message that comes in several.
    public struct Part: Sendable, Equatable {
        /// From 0.
        public var index: UInt32
        /// Whether no other part follows.
        public var isLast: Bool

        /// Makes a part.
        public init(index: UInt32, isLast: Bool) {
            self.index = index
            self.isLast = isLast
        }
    }

    /// From an agent: per device, from 1. To an agent: 0.
    public var number: Int64
    /// From an agent: the host's. To an agent: empty, and the host makes one.
    public var id: String
    /// The agent's name; empty towards an agent lets the host choose.
    public var agent: String
    /// One JSON value.
    public var body: JSON
    /// `nil` for a message that is whole.
    public var part: Part?

    /// Makes a message; to an agent, the body is all it needs.
    public init(number: Int64 = 0, id: String = "", agent: String = "", body: JSON, part: Part? = nil) {
        self.number = number
        self.id = id
        self.agent = agent
        self.body = JSON(text: body.text, name: "message")
        self.part = part
    }
}

/// An event frame for a device.
public struct DeviceFrame: Sendable, Equatable {
    /// `[a-z][a-z0-9._]{0,63}`, such as `message`.
    public var event: String
    /// One JSON object.
    public var payload: JSON

    /// Makes a frame.
    public init(event: String, payload: JSON) {
        self.event = event
        self.payload = payload
    }

    /// A frame that carries an agent's message as it is, with its number and the agent's name.
    public init(event: String = "message", message: AgentMessage) {
        let body = message.body.isEmpty ? "null" : message.body.text
        var payload =
            #"{"messageSeq":\#(message.number),"agent":\#(quoted(message.agent)),"message":\#(body)"#
        if let part = message.part { payload += #","part":\#(part.index),"last":\#(part.isLast)"# }
        self.init(event: event, payload: JSON(text: payload + "}"))
    }
}

/// What a device's message becomes.
public enum Output: Sendable, Equatable {
    /// A message for an agent.
    case message(AgentMessage)
    /// A frame for the device.
    case frame(DeviceFrame)
    /// What became of an agent's message on the device. A host before ABI 1.2 hears nothing of it.
    case receipt(MessageReceipt)
    /// The device is in the background from now on, or in front again. A host before ABI 1.2 hears nothing of it.
    case background(Bool)
}

/// What a device says of an agent's message.
public struct MessageReceipt: Sendable, Equatable {
    /// The message's ``AgentMessage/number``.
    public var number: Int64
    /// Whether its user has read it; else the device has it.
    public var isRead: Bool

    /// Makes a receipt.
    public init(number: Int64, isRead: Bool) {
        self.number = number
        self.isRead = isRead
    }
}

/// A JSON string.
private func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": quoted += "\\\(scalar)"
        case "\u{0}"..."\u{1F}":
            let hex = String(scalar.value, radix: 16)
            quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}

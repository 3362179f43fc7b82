public import PairingCore

/// A paired device that has connected, for its channel.
public struct ChannelSessionOpening: Sendable {
    /// The device's channel.
    public var channel: ChannelID
    /// The device.
    public var senderID: SenderID
    /// Whether the device proved a key; otherwise it has a bare token.
    public var hasKey: Bool
    /// The metadata as it was when the pairing was approved: a JSON object, or empty.
    public var metadata: String
    /// When it connected.
    public var openedAt: Timestamp

    /// Makes an opening.
    public init(
        channel: ChannelID, senderID: SenderID, hasKey: Bool, metadata: String = "", openedAt: Timestamp
    ) {
        self.channel = channel
        self.senderID = senderID
        self.hasKey = hasKey
        self.metadata = metadata
        self.openedAt = openedAt
    }
}

/// A message of a device.
public struct ChannelDeviceMessage: Sendable {
    /// Per device, from 1, without gaps; a repeat has the same number.
    public var number: Int64
    /// As the device gave it.
    public var id: String
    /// When it came.
    public var receivedAt: Timestamp
    /// One JSON value.
    public var body: String

    /// Makes a message.
    public init(number: Int64, id: String, receivedAt: Timestamp, body: String) {
        self.number = number
        self.id = id
        self.receivedAt = receivedAt
        self.body = body
    }
}

/// A message to an agent, or from one.
public struct ChannelAgentMessage: Sendable, Equatable {
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
    /// The message's identifier; to an agent it may be empty.
    public var id: String
    /// The agent's name; to an agent it may be empty.
    public var agent: String
    /// One JSON value.
    public var body: String
    /// `nil` for a message that is whole.
    public var part: Part?

    /// Makes a message.
    public init(number: Int64 = 0, id: String = "", agent: String = "", body: String, part: Part? = nil) {
        self.number = number
        self.id = id
        self.agent = agent
        self.body = body
        self.part = part
    }
}

extension ChannelFrame {
    /// The frame `message` that carries an agent's message whole.
    init(message: ChannelAgentMessage) {
        var payload = #"{"messageSeq":\#(message.number),"agent":\#(JSONValue.string(message.agent).text)"#
        payload += #","message":\#(message.body)"#
        if let part = message.part { payload += #","part":\#(part.index),"last":\#(part.isLast)"# }
        self.init(event: "message", payload: payload + "}")
    }
}

/// What a device says of an agent's message.
public struct ChannelReceipt: Sendable, Equatable {
    /// How far the message got.
    public enum State: String, Sendable { case delivered, read }

    /// The message's number among those to the device.
    public var number: Int64
    /// How far it got.
    public var state: State

    /// Wraps the two.
    public init(number: Int64, state: State) {
        self.number = number
        self.state = state
    }
}

/// What a device's message became, in the channel's order.
public struct ChannelOutput: Sendable, Equatable {
    /// Messages for agents.
    public var messages: [ChannelAgentMessage]
    /// Frames for the device.
    public var frames: [ChannelFrame]
    /// Whether the device's message is to be stored nowhere and answered by nobody; there are no messages then.
    public var isEphemeral: Bool
    /// What the device says of agents' messages.
    public var receipts: [ChannelReceipt]
    /// Whether the device is in the background from now on; `nil` where it says nothing of that.
    public var background: Bool?

    /// Makes an output.
    public init(
        messages: [ChannelAgentMessage] = [], frames: [ChannelFrame] = [], isEphemeral: Bool = false,
        receipts: [ChannelReceipt] = [], background: Bool? = nil
    ) {
        self.messages = messages
        self.frames = frames
        self.isEphemeral = isEphemeral
        self.receipts = receipts
        self.background = background
    }
}

import PairingCore

/// The calls a plugin has, by the names of its table.
enum CallKind: String, Sendable {
    case describe
    case create
    case review
    case sessionOpened = "session_opened"
    case sessionClosed = "session_closed"
    case receive
    case deliver
    case tick
}

/// What a plugin put into its sink, copied and bounded.
package struct CallOutput: Sendable {
    /// What the plugin says about itself.
    struct Identity: Sendable {
        var id: String
        var displayName: String
        var version: String
        var declarations: ChannelDeclarations
    }

    /// A frame for a session of the plugin's choice.
    struct Emission: Sendable {
        var session: ChannelSession
        var frame: ChannelFrame
    }

    /// Of one answer.
    package static let maximumDetails = 32
    static let maximumLabelScalars = 64
    static let maximumValueScalars = 256
    /// Of messages and frames, each.
    package static let maximumItems = 64
    /// Of messages and frames together.
    package static let maximumItemBytes = 1024 * 1024
    /// Of the frames of a tick.
    static let maximumEmissions = 1024
    static let maximumReasonScalars = 512

    var identity: Identity?
    var limits: ChannelLimits?
    var details: [Detail] = []
    var output = ChannelOutput()
    var emissions: [Emission] = []
    /// The silence periods of a session's device; `nil` for those of the description.
    var silence: [Duration]?
    var reasonCode: String?
    var reasonMessage: String?
    /// A ticket was taken, so that the call may return GOCLAW_LATER.
    var ticket: UInt64?
    /// A message or frame was not taken, so that the call must not count as a success.
    var isIncomplete = false
    /// What was not taken last and why, such as `put a frame into the sink of deliver that is not a JSON object`; a
    /// reason aside.
    var brokenRule: String?
    /// The bytes of messages and frames together.
    var itemBytes = 0

    /// Adds what the answer to a ticket brought.
    mutating func append(_ later: CallOutput) {
        details = Array((details + later.details).prefix(Self.maximumDetails))
        output.messages += later.output.messages
        output.frames += later.output.frames
        output.isEphemeral = output.isEphemeral || later.output.isEphemeral
        output.receipts += later.output.receipts
        output.background = later.output.background ?? output.background
        itemBytes += later.itemBytes
        isIncomplete =
            isIncomplete || later.isIncomplete || output.messages.count > Self.maximumItems
            || output.frames.count > Self.maximumItems || output.receipts.count > Self.maximumItems
            || itemBytes > Self.maximumItemBytes
        brokenRule = later.brokenRule ?? brokenRule
        if later.reasonCode != nil { (reasonCode, reasonMessage) = (later.reasonCode, later.reasonMessage) }
        ticket = nil
    }
}

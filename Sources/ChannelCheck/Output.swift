/// The calls a plugin has, by the names of its table.
enum Call: String, Sendable {
    case describe
    case create
    case review
    case sessionOpened = "session_opened"
    case receive
    case deliver
    case tick
}

/// What a plugin put into its sink.
struct Output: Equatable, Sendable {
    struct Detail: Equatable, Sendable {
        var label: String
        var value: String
    }

    struct Message: Equatable, Sendable {
        var agent: String
        var body: String
        var flags: UInt32
        var part: UInt32
    }

    struct Frame: Equatable, Sendable {
        var event: String
        var payload: String
    }

    struct Reason: Equatable, Sendable {
        var code: String
        var message: String
    }

    var identity: CheckedIdentity?
    var descriptions = 0
    var limits: PluginLimits?
    var limitsRecords = 0
    var details: [Detail] = []
    var messages: [Message] = []
    var frames: [Frame] = []
    var reason: Reason?
    var ticket: UInt64?
    var itemBytes = 0
    var isEphemeral = false
    /// Whether it says what became of an agent's message.
    var hasReceipt = false

    /// Adds what the answer to a ticket brought.
    mutating func append(_ later: Output) {
        details += later.details
        messages += later.messages
        frames += later.frames
        reason = later.reason ?? reason
        isEphemeral = isEphemeral || later.isEphemeral
        hasReceipt = hasReceipt || later.hasReceipt
        ticket = nil
    }
}

/// The limits a plugin asked for.
struct PluginLimits: Equatable, Sendable {
    var flags: UInt32
    var maximumMessageBytes: UInt32
    var burst: UInt32
    var messagesPerSecond: Double
    var heartbeat: UInt64
    var silence: UInt64
    var pairingLifetime: UInt64
    var tick: UInt64
}

/// How a call ended, its ticket's answer included.
struct Reply: Equatable, Sendable {
    var status: Int32
    var output: Output
}

import Logging
import PairingCore
import Synchronization

/// What the host keeps for one plugin besides its calls: its log, its numbers, its misbehaviour.
final class ChannelServices: Sendable {
    static let maximumLineScalars = 1024
    /// Lines a minute.
    static let maximumLines = 600

    private struct State {
        var breaker: MinuteWindow
        var senders: SenderFaults
        var misbehaviours = 0
        var lines = MinuteWindow(bound: ChannelServices.maximumLines)
        var lastComplaint: String?
    }

    /// The channel's ID, as the manifest says.
    let name: String
    /// The plugin's counters and gauges.
    let numbers: ChannelNumbers
    private let logger: Logger
    private let state: Mutex<State>

    init(name: String, limits: ChannelCallLimits, logger: Logger) {
        self.name = name
        var logger = logger
        logger[metadataKey: "channel"] = "\(name)"
        self.logger = logger
        numbers = ChannelNumbers(channel: name)
        state = Mutex(
            State(
                breaker: MinuteWindow(bound: limits.misbehaviours),
                senders: SenderFaults(share: limits.misbehavioursPerSender)))
    }

    /// Writes a line of the plugin's, unless it has written too many.
    func log(_ level: Logger.Level, _ line: String) {
        let admitted = state.withLock { state in
            if level >= .warning { state.lastComplaint = line }
            return state.lines.admit(at: monotonicSeconds())
        }
        if admitted { logger.log(level: level, "\(line)", source: "channel") }
    }

    /// The plugin broke a rule: counts it and logs it.
    ///
    /// - Parameter sender: the device whose session it was serving, which is charged first.
    func misbehaved(_ what: String, serving sender: SenderID? = nil) {
        numbers.countMisbehaviour()
        let admitted = state.withLock { state in
            let now = monotonicSeconds()
            state.misbehaviours += 1
            if let sender, !state.senders.charge(sender.key, at: now) { return false }
            return state.breaker.admit(at: now)
        }
        guard admitted else { return }
        var metadata: Logger.Metadata = ["what": "\(what)"]
        if let sender { metadata["senderId"] = "\(sender)" }
        logger.warning("channel misbehaves", metadata: metadata)
    }

    /// How long no call for the device's sessions is to reach the plugin, as it has failed on too many of them.
    ///
    /// - Returns: `nil` where calls may pass.
    func pause(of sender: SenderID) -> Duration? {
        state.withLock { $0.senders.pause(of: sender.key, at: monotonicSeconds()) }
    }

    /// Whether the plugin has broken so many rules that no call reaches it for the rest of this minute.
    var isOutOfFavour: Bool { state.withLock { $0.breaker.isExhausted(at: monotonicSeconds()) } }

    /// How often the plugin broke a rule since the start, whoever was charged.
    var misbehaviours: Int { state.withLock { $0.misbehaviours } }

    /// The last line of weight that the plugin wrote.
    var lastComplaint: String? { state.withLock { $0.lastComplaint } }

    private func monotonicSeconds() -> Int64 { Int64(monotonicNanoseconds() / 1_000_000_000) }
}

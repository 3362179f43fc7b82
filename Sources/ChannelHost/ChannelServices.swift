import Logging
import Metrics
import Synchronization

/// What the host keeps for one plugin besides its calls: its log, its numbers, its misbehaviour.
final class ChannelServices: Sendable {
    static let maximumNames = 64
    static let maximumLineScalars = 1024
    /// Lines a minute.
    static let maximumLines = 600

    private struct State {
        var misbehaviours: MinuteWindow
        var lines = MinuteWindow(bound: ChannelServices.maximumLines)
        var values: [String: Double] = [:]
        var counters: [String: Counter] = [:]
        var gauges: [String: Gauge] = [:]
        var lastComplaint: String?

        func hasRoom(for name: String) -> Bool {
            values[name] != nil || values.count < ChannelServices.maximumNames
        }
    }

    /// The channel's ID, as the manifest says.
    let name: String
    private let logger: Logger
    private let misbehaviourCounter: Counter
    private let state: Mutex<State>

    init(name: String, misbehaviours: Int, logger: Logger) {
        self.name = name
        var logger = logger
        logger[metadataKey: "channel"] = "\(name)"
        self.logger = logger
        misbehaviourCounter = Counter(label: "channel.misbehaviours", dimensions: [("channel", name)])
        state = Mutex(State(misbehaviours: MinuteWindow(bound: misbehaviours)))
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
    func misbehaved(_ what: String) {
        misbehaviourCounter.increment()
        let admitted = state.withLock { $0.misbehaviours.admit(at: monotonicSeconds()) }
        if admitted { logger.warning("channel misbehaves", metadata: ["what": "\(what)"]) }
    }

    /// Whether the plugin has broken so many rules that no call reaches it for the rest of this minute.
    var isOutOfFavour: Bool { state.withLock { $0.misbehaviours.isExhausted(at: monotonicSeconds()) } }

    /// How often the plugin broke a rule since the start.
    var misbehaviours: Int { state.withLock { $0.misbehaviours.total } }

    /// The last line of weight that the plugin wrote.
    var lastComplaint: String? { state.withLock { $0.lastComplaint } }

    /// The plugin's counters and gauges.
    var values: [String: Double] { state.withLock { $0.values } }

    /// Adds to a counter of the plugin's.
    ///
    /// - Returns: `false` where there are too many names already.
    func count(_ name: String, by amount: UInt64) -> Bool {
        state.withLock { state in
            guard state.hasRoom(for: name) else { return false }
            state.values[name, default: 0] += Double(amount)
            let counter =
                state.counters[name]
                ?? Counter(label: "channel.plugin.\(name)", dimensions: [("channel", self.name)])
            state.counters[name] = counter
            counter.increment(by: Int64(clamping: amount))
            return true
        }
    }

    /// Sets a gauge of the plugin's.
    ///
    /// - Returns: `false` where there are too many names already.
    func gauge(_ name: String, _ value: Double) -> Bool {
        state.withLock { state in
            guard state.hasRoom(for: name) else { return false }
            state.values[name] = value
            let gauge =
                state.gauges[name]
                ?? Gauge(label: "channel.plugin.\(name)", dimensions: [("channel", self.name)])
            state.gauges[name] = gauge
            gauge.record(value)
            return true
        }
    }

    private func monotonicSeconds() -> Int64 { Int64(monotonicNanoseconds() / 1_000_000_000) }
}

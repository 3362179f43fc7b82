import Metrics
import Synchronization

/// A plugin's counters and gauges, under its channel's name in the metrics of the process.
///
/// A counter `x` is `channel.plugin.counter.x`, a gauge `x` is `channel.plugin.gauge.x`: two channels may use
/// one name for different things, one channel may not.
final class ChannelNumbers: Sendable {
    /// Counters and gauges together.
    static let maximumNames = 64

    /// What became of a number.
    enum Outcome {
        case taken
        /// There are too many names already.
        case full
        /// The name is one of the other kind.
        case otherKind
    }

    private struct State {
        var values: [String: Double] = [:]
        var counters: [String: Counter] = [:]
        var gauges: [String: Gauge] = [:]

        var isFull: Bool { values.count >= ChannelNumbers.maximumNames }
    }

    private let channel: String
    private let misbehaviours: Counter
    private let state = Mutex(State())

    init(channel: String) {
        self.channel = channel
        misbehaviours = Counter(label: "channel.misbehaviours", dimensions: [("channel", channel)])
    }

    /// The values, by name.
    var values: [String: Double] { state.withLock { $0.values } }

    /// The host counts a rule that the plugin broke.
    func countMisbehaviour() { misbehaviours.increment() }

    /// Adds to a counter.
    func count(_ name: String, by amount: UInt64) -> Outcome {
        state.withLock { state in
            guard state.gauges[name] == nil else { return .otherKind }
            guard let counter = state.counters[name] ?? makeCounter(name, unless: state.isFull) else {
                return .full
            }
            state.counters[name] = counter
            state.values[name, default: 0] += Double(amount)
            counter.increment(by: Int64(clamping: amount))
            return .taken
        }
    }

    /// Sets a gauge.
    func gauge(_ name: String, _ value: Double) -> Outcome {
        state.withLock { state in
            guard state.counters[name] == nil else { return .otherKind }
            guard let gauge = state.gauges[name] ?? makeGauge(name, unless: state.isFull) else {
                return .full
            }
            state.gauges[name] = gauge
            state.values[name] = value
            gauge.record(value)
            return .taken
        }
    }

    private func makeCounter(_ name: String, unless isFull: Bool) -> Counter? {
        isFull ? nil : Counter(label: "channel.plugin.counter.\(name)", dimensions: [("channel", channel)])
    }

    private func makeGauge(_ name: String, unless isFull: Bool) -> Gauge? {
        isFull ? nil : Gauge(label: "channel.plugin.gauge.\(name)", dimensions: [("channel", channel)])
    }
}

import CoreMetrics
import Synchronization

/// One line, or one histogram, of the text.
protocol Series: AnyObject, Sendable {
    func write(name: String, labels: String, to output: inout String)
}

/// Grows only.
final class CounterSeries: Series, CounterHandler {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { value.store(0, ordering: .relaxed) }

    func write(name: String, labels: String, to output: inout String) {
        output += "\(sample(name, labels)) \(value.load(ordering: .relaxed))\n"
    }
}

/// Goes up and down; the last value counts.
final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    private let value = Mutex<Double>(0)

    func set(_ new: Int64) { set(Double(new)) }
    func set(_ new: Double) { value.withLock { $0 = new } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ new: Int64) { set(Double(new)) }
    func record(_ new: Double) { set(new) }

    func write(name: String, labels: String, to output: inout String) {
        output += "\(sample(name, labels)) \(number(value.withLock { $0 }))\n"
    }
}

/// Counts values by buckets.
final class HistogramSeries: Series, TimerHandler, RecorderHandler {
    private struct Counts {
        var buckets: [UInt64]
        var sum = 0.0
        var count: UInt64 = 0
    }

    private let bounds: [Double]
    private let counts: Mutex<Counts>

    /// - Parameter bounds: the buckets' upper bounds, ascending; one without a bound is added.
    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Mutex(Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    /// For durations in seconds: from half a millisecond to ten seconds.
    static func durations() -> HistogramSeries {
        HistogramSeries(bounds: [
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
        ])
    }

    /// For sizes and numbers of things: powers of four.
    static func sizes() -> HistogramSeries {
        HistogramSeries(bounds: (0...10).map { Double(1 << (2 * $0)) })
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts.withLock {
            $0.buckets[bucket] += 1
            $0.sum += value
            $0.count += 1
        }
    }

    func write(name: String, labels: String, to output: inout String) {
        let counts = counts.withLock { $0 }
        let prefix = labels.isEmpty ? "" : labels + ","
        var cumulative: UInt64 = 0
        for (index, count) in counts.buckets.enumerated() {
            cumulative += count
            let bound = index < bounds.count ? number(bounds[index]) : "+Inf"
            output += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(cumulative)\n"
        }
        output += "\(sample(name + "_sum", labels)) \(number(counts.sum))\n"
        output += "\(sample(name + "_count", labels)) \(counts.count)\n"
    }
}

private func sample(_ name: String, _ labels: String) -> String {
    labels.isEmpty ? name : "\(name){\(labels)}"
}

/// Whole numbers without a fraction; infinities and NaN as the format spells them.
private func number(_ value: Double) -> String {
    if let whole = Int64(exactly: value) { return String(whole) }
    if value.isFinite { return String(value) }
    return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf"
}

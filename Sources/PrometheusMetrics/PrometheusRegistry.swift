import CoreMetrics
import Synchronization

/// Keeps what swift-metrics reports and writes it as Prometheus text, format 0.0.4.
///
/// A label such as `gateway.sockets` becomes `gateway_sockets`; counters end in `_total`; timers are
/// histograms in seconds. Thread-safe. Metrics are kept for the life of the process: a `destroy` ends only
/// that handle.
public final class PrometheusRegistry: Sendable {
    /// The `Content-Type` of ``text()``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let families = Mutex<[String: Family]>([:])
    private let maximumSeries: Int
    private let dropped = CounterSeries()
    private static let droppedName = "metrics_series_dropped_total"

    /// - Parameter maximumSeries: how many different dimensions one name may have; what exceeds them is not
    ///   recorded and counted in `metrics_series_dropped_total`, so that a label made of what a peer sends
    ///   cannot fill the memory.
    public init(maximumSeries: Int = 200) { self.maximumSeries = maximumSeries }

    /// Everything recorded, families and series in the order of their names.
    public func text() -> String {
        let families = families.withLock { $0 }
        var output = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            output += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.write(name: name, labels: labels, to: &output)
            }
        }
        output += "# TYPE \(Self.droppedName) counter\n"
        dropped.write(name: Self.droppedName, labels: "", to: &output)
        return output
    }

    /// The series of that name and those dimensions, made where it is new.
    ///
    /// - Returns: `nil` where the name is taken by another kind or has too many series.
    private func series<Kept: Series>(
        _ name: String, _ dimensions: [(String, String)], kind: Kind, make: () -> Kept
    ) -> Kept? {
        let labels = labelText(dimensions)
        let kept = families.withLock { families -> Kept? in
            var family = families[name] ?? Family(kind: kind)
            if let existing = family.series[labels] { return existing as? Kept }
            guard family.kind == kind, family.series.count < maximumSeries else { return nil }
            let new = make()
            family.series[labels] = new
            families[name] = family
            return new
        }
        if kept == nil { dropped.increment(by: 1) }
        return kept
    }
}

extension PrometheusRegistry: MetricsFactory {
    /// A counter, whose name ends in `_total`.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(metricName(label, suffix: "_total"), dimensions, kind: .counter, make: CounterSeries.init)
            ?? CounterSeries()
    }

    /// A gauge that goes up and down.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(metricName(label), dimensions, kind: .gauge, make: GaugeSeries.init) ?? GaugeSeries()
    }

    /// A histogram where values are aggregated, else a gauge.
    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else {
            return series(metricName(label), dimensions, kind: .gauge, make: GaugeSeries.init)
                ?? GaugeSeries()
        }
        return series(metricName(label), dimensions, kind: .histogram, make: HistogramSeries.sizes)
            ?? HistogramSeries.sizes()
    }

    /// A histogram in seconds, whose name ends in `_seconds`.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(
            metricName(label, suffix: "_seconds"), dimensions, kind: .histogram,
            make: HistogramSeries.durations) ?? HistogramSeries.durations()
    }

    /// Keeps the series: another handle may count in it.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Keeps the series.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Keeps the series.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Keeps the series.
    public func destroyTimer(_ handler: any TimerHandler) {}
}

private enum Kind: String {
    case counter, gauge, histogram
}

private struct Family {
    let kind: Kind
    var series: [String: any Series] = [:]
}

/// A legal metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`, every other character being an underscore.
private func metricName(_ label: String, suffix: String = "") -> String {
    var name = identifier(label)
    if !name.hasSuffix(suffix) { name += suffix }
    return name
}

private func identifier(_ text: String) -> String {
    let characters = text.utf8.map { byte -> UInt8 in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            byte
        default: UInt8(ascii: "_")
        }
    }
    let name = String(decoding: characters, as: UTF8.self)
    return name.utf8.first.map { $0 >= 48 && $0 <= 57 } == true ? "_" + name : name
}

/// `a="1",b="2"`, in the order of the names and with the values escaped.
private func labelText(_ dimensions: [(String, String)]) -> String {
    dimensions.map { (identifier($0.0), $0.1) }.sorted { $0.0 < $1.0 }.map { name, value in
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return "\(name)=\"\(escaped)\""
    }.joined(separator: ",")
}

import CoreMetrics
import PrometheusMetrics
import Testing

@Suite("Prometheus text")
struct PrometheusRegistryTests {
    @Test("Counters, gauges and timers are written in the format 0.0.4")
    func text() {
        let registry = PrometheusRegistry()
        Counter(label: "gateway.requests", dimensions: [("code", "a\"b\\c\nd")], factory: registry).increment(
            by: 3)
        Gauge(label: "sockets", factory: registry).record(7)
        Meter(label: "load", factory: registry).set(0.5)
        let timer = Timer(label: "answer", factory: registry)
        timer.recordNanoseconds(700_000)
        timer.recordNanoseconds(20_000_000_000)
        let text = registry.text()
        #expect(text.contains("# TYPE gateway_requests_total counter\n"))
        #expect(text.contains("gateway_requests_total{code=\"a\\\"b\\\\c\\nd\"} 3\n"))
        #expect(text.contains("# TYPE sockets gauge\nsockets 7\n"))
        #expect(text.contains("load 0.5\n"))
        #expect(text.contains("# TYPE answer_seconds histogram\n"))
        #expect(text.contains("answer_seconds_bucket{le=\"0.0005\"} 0\n"))
        #expect(text.contains("answer_seconds_bucket{le=\"0.001\"} 1\n"))
        #expect(text.contains("answer_seconds_bucket{le=\"10\"} 1\n"))
        #expect(text.contains("answer_seconds_bucket{le=\"+Inf\"} 2\n"))
        #expect(text.contains("answer_seconds_sum 20.0007\n"))
        #expect(text.contains("answer_seconds_count 2\n"))
        #expect(text.hasSuffix("\n"))
    }

    @Test("Handles of one name and dimensions, in whatever order, are one series")
    func oneSeries() {
        let registry = PrometheusRegistry()
        Counter(label: "c", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
        Counter(label: "c", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment()
        #expect(registry.text().contains("c_total{a=\"1\",b=\"2\"} 2\n"))
    }

    @Test("Dimensions beyond the limit cost no memory and are counted")
    func bounded() {
        let registry = PrometheusRegistry(maximumSeries: 2)
        for value in 0..<5 {
            Counter(label: "c", dimensions: [("v", "\(value)")], factory: registry).increment()
        }
        let text = registry.text()
        #expect(text.contains("c_total{v=\"1\"} 1\n"))
        #expect(!text.contains("v=\"2\""))
        #expect(text.contains("metrics_series_dropped_total 3\n"))
    }

    @Test("A name that is taken by another kind is not recorded")
    func otherKind() {
        let registry = PrometheusRegistry()
        Gauge(label: "x_total", factory: registry).record(1)
        Counter(label: "x", factory: registry).increment()
        #expect(registry.text().contains("x_total 1\n"))
        #expect(registry.text().contains("metrics_series_dropped_total 1\n"))
    }
}

import PairingCore
import Synchronization
import Testing
import Tracing

@testable import Traces

/// What was recorded.
private final class Collected: Sendable {
    private let spans = Mutex<[FinishedSpan]>([])
    var all: [FinishedSpan] { spans.withLock { $0 } }
    func add(_ span: FinishedSpan) { spans.withLock { $0.append(span) } }

    func tracer(percent: Int, perSecond: Int = 1000) -> RecordingTracer {
        RecordingTracer(
            sampler: TraceSampler(percent: percent, perSecond: perSecond, now: .zero), ended: add)
    }
}

@Suite("Recording")
struct RecordingTests {
    private static let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private let collected = Collected()

    @Test("A span is a part of what the request says it is a part of, and what it leads to a part of it")
    func nested() async throws {
        let tracer = collected.tracer(percent: 0)
        await tracer.recording("outer", in: TraceParent(header: Self.text)) { span in
            #expect(span != nil)
            tracer.startSpan("inner", ofKind: .client).end()
        }
        let spans = collected.all
        try #require(spans.map(\.name) == ["inner", "outer"])
        #expect(Set(spans.map(\.place.traceID)) == ["0af7651916cd43dd8448eb211c80319c"])
        #expect(spans[1].parentID == "b7ad6b7169203331")
        #expect(spans[0].parentID == spans[1].place.spanID)
        #expect(spans[1].start <= spans[0].start && spans[0].end <= spans[1].end)
    }

    @Test("What is not recorded leaves nothing for those it calls to look at")
    func unrecorded() async {
        let tracer = collected.tracer(percent: 0)
        await tracer.recording("request") { span in
            #expect(span == nil && ServiceContext.current == nil)
        }
        #expect(collected.all.isEmpty)
    }

    @Test("Where nginx made the header, the span is the first of its trace")
    func madeByNginx() async throws {
        let header = "00-0af7651916cd43dd8448eb211c80319c-0af7651916cd43dd-00"
        await collected.tracer(percent: 100).recording("request", in: TraceParent(header: header)) { _ in }
        let span = try #require(collected.all.first)
        #expect(span.place.traceID == "0af7651916cd43dd8448eb211c80319c" && span.parentID == nil)
    }

    @Test("A linked request begins a trace of its own, recorded where the other's sender records")
    func linked() async throws {
        let link = try #require(TraceParent(header: Self.text))
        await collected.tracer(percent: 0).recording("request", linkedTo: link) { _ in }
        let span = try #require(collected.all.first)
        #expect(span.links == [link] && span.place.traceID != link.traceID && span.parentID == nil)
    }

    @Test("What an agent is told is the span that asks it")
    func injected() throws {
        struct Writer: Injector {
            func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
                carrier[key] = value
            }
        }
        let tracer = collected.tracer(percent: 100)
        let span = tracer.startSpan("agent", context: .topLevel)
        var fields: [String: String] = [:]
        tracer.inject(span.context, into: &fields, using: Writer())
        span.end()
        #expect(fields == ["traceparent": try #require(collected.all.first).place.header])
    }

    @Test("A span counts once, whatever is done to it after its end")
    func ended() {
        let span = collected.tracer(percent: 100).startSpan("once", context: .topLevel)
        span.end()
        span.end()
        span.attributes["late"] = "no"
        #expect(collected.all.count == 1 && collected.all[0].attributes.isEmpty && !span.isRecording)
    }

    @Test("No text is kept whole that has no end")
    func bounded() throws {
        let span = collected.tracer(percent: 100).startSpan("long", context: .topLevel)
        span.attributes["url.path"] = String(repeating: "x", count: 100_000)
        span.end()
        #expect(collected.all[0].attributes == ["url.path": .string(String(repeating: "x", count: 1024))])
    }
}

@Suite("Which requests are recorded")
struct SamplerTests {
    @Test("About as many of a hundred as was said, the same ones in every process")
    func share() {
        var first = TraceSampler(percent: 10, perSecond: 100_000, now: .zero)
        var second = first
        let traces = (0..<10_000).map { _ in TraceParent.new().traceID }
        let chosen = traces.filter { first.records($0, isWanted: false, now: .zero) }
        #expect((700...1300).contains(chosen.count))
        #expect(traces.filter { second.records($0, isWanted: false, now: .zero) } == chosen)
    }

    @Test("None and all are exact", arguments: [(0, 0), (100, 500)])
    func bounds(_ percent: Int, _ count: Int) {
        var sampler = TraceSampler(percent: percent, perSecond: 1000, now: .zero)
        let chosen = (0..<500).filter { _ in
            sampler.records(TraceParent.new().traceID, isWanted: false, now: .zero)
        }
        #expect(chosen.count == count)
    }

    @Test("I13: whoever asks for it, no more begin in a second than was said")
    func flood() {
        var sampler = TraceSampler(percent: 0, perSecond: 10, now: .zero)
        let id = TraceParent.new().traceID
        #expect((0..<1000).filter { _ in sampler.records(id, isWanted: true, now: .zero) }.count == 10)
        #expect((0..<1000).filter { _ in sampler.records(id, isWanted: true, now: .seconds(1)) }.count == 10)
    }
}

@Suite("Spans that wait for the collector")
struct SpanQueueTests {
    private func span(_ number: Int) -> FinishedSpan {
        FinishedSpan(
            name: "\(number)", place: .new(), parentID: nil, kind: .server, start: 0, end: 1)
    }

    @Test("They go out in their order, so many together, and what finds no room is dropped")
    func order() {
        var queue = SpanQueue(capacity: 600)
        let additions = (0..<700).map { queue.add(span($0)) }
        #expect(additions.filter { $0 == .dropped }.count == 100 && additions[511] == .full)
        #expect(additions[510] == .added && queue.isBatch)
        #expect(queue.take().map(\.name) == (0..<512).map(String.init))
        #expect(queue.take().map(\.name) == (512..<600).map(String.init))
        #expect(queue.take().isEmpty && !queue.isBatch)
    }

    @Test("The document has OTLP's spelling: hexadecimal numbers, times as text, kinds as numbers")
    func document() throws {
        let place = try #require(
            TraceParent(header: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        let span = FinishedSpan(
            name: "GET /nodes", place: place, parentID: "00f067aa0ba902b7", kind: .server,
            start: 1_700_000_000_000_000_001, end: 1_700_000_000_000_000_002,
            attributes: ["url.path": "/nodes", "count": .int64(3), "ok": .bool(true)], links: [place],
            hasFailed: true)
        let text = TraceDocument(
            resource: TraceResource(program: "nodes-kernel", instance: "kernel-0", version: "1")
        ).text(of: [span])
        let scope = try JSONValue(parsing: Array(text.utf8))["resourceSpans"]?.first
        let names = scope?["resource"]?["attributes"]?.elements.compactMap { $0["key"]?.string }
        #expect(names == ["service.instance.id", "service.name", "service.version"])
        let written = try #require(scope?["scopeSpans"]?.first?["spans"]?.first)
        #expect(
            written
                == (try JSONValue(
                    parsing: Array(
                        #"""
                        {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
                        "parentSpanId":"00f067aa0ba902b7","name":"GET /nodes","kind":2,"flags":1,
                        "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002",
                        "attributes":[{"key":"count","value":{"intValue":"3"}},
                        {"key":"ok","value":{"boolValue":true}},
                        {"key":"url.path","value":{"stringValue":"/nodes"}}],
                        "links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}],
                        "status":{"code":2}}
                        """#.utf8))))
    }
}

extension JSONValue {
    fileprivate var elements: [JSONValue] { if case .array(let all) = self { all } else { [] } }
    fileprivate var first: JSONValue? { elements.first }
}

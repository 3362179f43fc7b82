import PairingCore
import Synchronization
import Tracing

/// Records what requests lead to, for ``TraceExporter``. Thread-safe.
package final class RecordingTracer: Tracer {
    private let sampler: Mutex<TraceSampler>
    private let start = ContinuousClock.now
    private let ended: @Sendable (FinishedSpan) -> Void

    /// - Parameter ended: called on any thread, for each span that was recorded.
    init(sampler: TraceSampler, ended: @escaping @Sendable (FinishedSpan) -> Void) {
        self.sampler = Mutex(sampler)
        self.ended = ended
    }

    /// A span within the one of `context`, which is recorded if that is; or the first of a trace here, where the
    /// sampler decides.
    package func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> RecordedSpan {
        let context = context()
        let parent = context.span
        let place = TraceParent.new(continuing: parent?.traceID)
        guard
            (parent != nil && !context.isRemote)
                || records(place.traceID, parent?.isSampled ?? context.isWanted)
        else {
            return RecordedSpan(context: context)
        }
        return RecordedSpan(
            FinishedSpan(
                name: operationName, place: place,
                parentID: parent.flatMap { $0.isWithoutSpan ? nil : $0.spanID }, kind: kind,
                start: instant().nanosecondsSinceEpoch, end: 0), ended)
    }

    private func records(_ traceID: String, _ isWanted: Bool) -> Bool {
        sampler.withLock {
            $0.records(traceID, isWanted: isWanted, now: ContinuousClock.now - start)
        }
    }

    package func forceFlush() {}

    /// Writes the header for whom the span has asked.
    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        if let span = context.span {
            injector.inject(span.header, forKey: "traceparent", into: &carrier)
        }
    }

    /// Reads the header of whoever asks.
    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        if let header = extractor.extract(key: "traceparent", from: carrier),
            let parent = TraceParent(header: header)
        {
            context = ServiceContext(parent, isRemote: true)
        }
    }
}

/// One span, from its start to its end. Thread-safe.
package final class RecordedSpan: Span {
    package let context: ServiceContext
    /// `nil` where nothing is recorded, or not any more.
    private let state: Mutex<FinishedSpan?>
    private let ended: @Sendable (FinishedSpan) -> Void
    /// How much of a text is kept, in characters.
    private static let longest = 1024

    fileprivate init(_ span: FinishedSpan, _ ended: @escaping @Sendable (FinishedSpan) -> Void) {
        context = ServiceContext(span.place, isRemote: false)
        state = Mutex(span)
        self.ended = ended
    }

    /// One that nobody records.
    fileprivate init(context: ServiceContext) {
        self.context = context
        state = Mutex(nil)
        ended = { _ in }
    }

    package var isRecording: Bool { state.withLock { $0 != nil } }

    package var operationName: String {
        get { state.withLock { $0?.name ?? "" } }
        set { state.withLock { $0?.name = newValue } }
    }

    package var attributes: SpanAttributes {
        get { SpanAttributes(state.withLock { $0?.attributes ?? [:] }) }
        set {
            var bounded: [String: SpanAttribute] = [:]
            newValue.forEach { name, value in
                if case .string(let text) = value {
                    bounded[name] = .string(String(text.prefix(Self.longest)))
                } else {
                    bounded[name] = value
                }
            }
            state.withLock { $0?.attributes = bounded }
        }
    }

    package func setStatus(_ status: SpanStatus) {
        state.withLock { $0?.hasFailed = status.code == .error }
    }

    /// Events are not kept: spans of their own say more.
    package func addEvent(_ event: SpanEvent) {}

    /// What an error says may hold data; that there was one is kept.
    package func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        state.withLock { $0?.hasFailed = true }
    }

    package func addLink(_ link: SpanLink) {
        guard let span = link.context.span else { return }
        state.withLock { $0?.links.append(span) }
    }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let end = instant().nanosecondsSinceEpoch
        let span = state.withLock { state in
            defer { state = nil }
            return state
        }
        guard var span else { return }
        // The clock may have been set back meanwhile.
        span.end = max(span.start, end)
        ended(span)
    }
}

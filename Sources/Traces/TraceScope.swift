import Tracing

extension Tracer {
    /// Carries out what a request leads to, within a span where it is recorded. Where it is not, nothing is left for
    /// those it calls to look at: a context is current in what is recorded only.
    ///
    /// - Parameters:
    ///   - name: what is done, without the names of whom it is done for.
    ///   - parent: the header of whoever asks.
    ///   - link: another span that this has to do with; what is asked for in its trace is recorded, as in one's own.
    ///   - body: is given the span where there is one.
    package func recording<Value: Sendable>(
        _ name: String, ofKind kind: SpanKind = .server, in parent: TraceParent? = nil,
        linkedTo link: TraceParent? = nil, _ body: @Sendable ((any Tracing.Span)?) async -> Value
    ) async -> Value {
        let span = startSpan(
            name,
            context: ServiceContext(parent, isRemote: true, isWanted: link?.isSampled ?? false), ofKind: kind,
            at: DefaultTracerClock.now)
        guard span.isRecording else { return await body(nil) }
        defer { span.end() }
        if let link, !link.isWithoutSpan {
            span.addLink(SpanLink(context: ServiceContext(link, isRemote: true), attributes: [:]))
        }
        return await ServiceContext.withValue(span.context) { await body(span) }
    }
}

import FastCGI
import Traces
import Tracing

extension RecordingTracer? {
    /// Answers a page's request, within a span where it is recorded.
    func recording(
        _ request: FastCGIRequest, _ respond: @Sendable () async -> FastCGIResponse
    ) async -> FastCGIResponse {
        guard let self else { return await respond() }
        let parent = request.header("traceparent").flatMap(TraceParent.init(header:))
        return await self.recording(request.method, in: parent) { span in
            let answer = await respond()
            guard let span else { return answer }
            // What stands behind a question mark may be a secret.
            let path = String(request.requestURI.prefix { $0 != "?" })
            span.updateAttributes { attributes in
                attributes["http.request.method"] = request.method
                attributes["url.path"] = path
                attributes["http.response.status_code"] = answer.status
            }
            // Names are few: of what is not there, as strangers ask for it, the method alone.
            if answer.status != 404 {
                span.operationName = "\(request.method) /\(path.dropFirst().prefix { $0 != "/" })"
            }
            if answer.status >= 500 { span.setStatus(SpanStatus(code: .error)) }
            return answer
        }
    }
}

import NodesProtocol
import PairingCore
import Traces
import Tracing

extension GatewayContext {
    /// Carries out a request, within a span where it is recorded.
    ///
    /// - Parameters:
    ///   - parent: what it is a part of.
    ///   - link: the upgrade of its socket, where the request begins a trace of its own: a socket lasts for days.
    func recording<Value: Sendable>(
        _ method: String, in parent: TraceParent? = nil, linkedTo link: TraceParent? = nil,
        _ body: @Sendable ((any Span)?) async -> Value
    ) async -> Value {
        guard let tracer else { return await body(nil) }
        return await tracer.recording(method, in: parent, linkedTo: link, body)
    }
}

extension Span {
    /// So many messages came together.
    func carries(_ count: Int) { attributes["messaging.batch.message_count"] = count }

    /// The request was refused.
    func refused(_ refusal: Refusal) {
        updateAttributes { attributes in
            attributes["nodes.code"] = refusal.code.rawValue
            attributes["nodes.reason"] = refusal.reason
        }
        if refusal.code == .internal || refusal.code == .unavailable {
            setStatus(SpanStatus(code: .error))
        }
    }
}

extension DeviceCall {
    /// The method that led to it.
    var method: MethodName {
        switch self {
        case .pair: .pairRequest
        case .status: .pairStatus
        case .connect, .enter, .authenticate: .connect
        case .message(let call): call.method
        case .list: .pairList
        case .approve, .approveCode: .pairApprove
        case .deny, .denyCode: .pairDeny
        case .revoke: .pairRevoke
        case .health: .health
        }
    }
}

extension MessageCall {
    /// The method that led to it.
    fileprivate var method: MethodName {
        switch self {
        case .status, .pushStatus: .messageStatus
        case .abort: .messageAbort
        case .history, .agents: .messageHistory
        case .push: .messagePush
        }
    }
}

import Logging
import Metrics
import NIOCore
import NodesProtocol
import PairingCore
import PairingKernel
import Synchronization
import Traces

/// What all sockets of one gateway share. Thread-safe.
final class GatewayContext: Sendable {
    let kernel: Kernel
    let sessions: DeviceSessions
    let facts: ServerFacts
    let clock: WallClock
    let logger: Logger
    /// Records what requests lead to; `nil` where nobody wants to know.
    let tracer: RecordingTracer?
    let metrics = GatewayMetrics()
    /// What the codecs of other dialects say of this server.
    private let openClawFacts: OpenClawDialect.Facts
    private let goClawFacts: GoClawDialect.Facts
    private let admission: Mutex<SocketAdmission<any AdmittedConnection>>
    private let signatures: Mutex<SignatureBudget>
    /// The HTTP requests of each device that are under way.
    private let exchanges = Mutex<[String: Set<SocketID>]>([:])
    /// The calls of tools of each token.
    private let toolCalls: Mutex<KeyedTokenBuckets>
    private let socketCount = Atomic<UInt64>(0)

    init(
        kernel: Kernel, sessions: DeviceSessions, settings: GatewaySettings, clock: @escaping WallClock,
        tracer: RecordingTracer?, logger: Logger
    ) {
        self.kernel = kernel
        self.sessions = sessions
        self.clock = clock
        self.tracer = tracer
        self.logger = logger
        facts = ServerFacts(instanceID: sessions.instanceID, settings: settings)
        admission = Mutex(SocketAdmission(limits: settings.socketLimits))
        guard let openClaw = ChannelID("openclaw"), let browsers = ChannelID("web") else {
            preconditionFailure("a channel's name that is none")
        }
        openClawFacts = OpenClawDialect.Facts(
            channel: openClaw, agents: sessions.agentNames, maximumMessage: settings.maximumMessage,
            maximumBuffered: settings.outboundQueueBytes,
            secretDevice: { ForeignSecret.device(of: $0, in: .openclaw) }, makeMessageID: Self.makeNonce)
        goClawFacts = GoClawDialect.Facts(
            channel: browsers, administratorsPrefix: Accounts.tokenPrefix,
            secretDevice: { ForeignSecret.device(of: $0, in: .goclaw) }, makeSecret: Self.makeNonce,
            makeMessageID: Self.makeNonce)
        toolCalls = Mutex(
            KeyedTokenBuckets(
                perSecond: Double(settings.toolCallsPerSecond),
                burst: Double(settings.toolCallsPerSecond * 4), capacity: 1024,
                now: NIODeadline.now().sinceStart))
        signatures = Mutex(
            SignatureBudget(
                perSecond: Double(settings.signaturesPerSecond), now: NIODeadline.now().sinceStart))
    }

    /// What translates for one socket's client; `nil` for this server's own dialect.
    func codec(of dialect: DialectName) -> (any Dialect)? {
        switch dialect {
        case .nodes: nil
        case .openclaw: OpenClawDialect(facts: openClawFacts)
        case .goclaw: GoClawDialect(facts: goClawFacts)
        }
    }

    /// A number for a new socket.
    func nextSocketID() -> SocketID {
        SocketID(socketCount.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// Asks or tells the one place that knows of all sockets.
    func withAdmission<Value: Sendable>(
        _ body: (inout SocketAdmission<any AdmittedConnection>) -> sending Value
    ) -> Value {
        admission.withLock { admission in
            let value = body(&admission)
            metrics.sockets(admission)
            return value
        }
    }

    /// A device makes another HTTP request.
    ///
    /// - Returns: whether there is room for it; not where `most` of the device are under way.
    func enter(_ device: String, _ id: SocketID, most: Int) -> Bool {
        exchanges.withLock { exchanges in
            guard exchanges[device, default: []].count < most else { return false }
            exchanges[device, default: []].insert(id)
            return true
        }
    }

    /// The request is over; one that had no room is none.
    func leave(_ device: String, _ id: SocketID) {
        exchanges.withLock { exchanges in
            exchanges[device]?.remove(id)
            if exchanges[device]?.isEmpty == true { exchanges[device] = nil }
        }
    }

    /// Pays for one request of a program that uses tools.
    ///
    /// - Returns: how long to wait where there is nothing left.
    func payToolCall(_ token: String, now: Duration) -> Duration? {
        toolCalls.withLock { $0.take(token, now: now) }
    }

    /// Pays for one signature check.
    ///
    /// - Returns: how long to wait where there is nothing left.
    func paySignature(
        _ address: ClientAddress, from purse: SignaturePurse, now: NIODeadline
    ) -> Duration? {
        signatures.withLock { $0.take(address, from: purse, now: now.sinceStart) }
    }

    /// Gives back what a check took that proved a pairing.
    func refundSignature(_ address: ClientAddress, now: NIODeadline) {
        signatures.withLock { $0.refund(address, now: now.sinceStart) }
    }

    /// 32 random bytes of the operating system's generator, in base64url.
    static func makeNonce() -> String {
        var generator = SystemRandomNumberGenerator()
        let words = (0..<4).map { _ in generator.next() }
        return words.withUnsafeBytes { Base64URL.encode($0) }
    }
}

/// Signature checks a second of the instance: for paired devices' keys, and half as many for any others, so that no
/// number of strangers spends what devices need. Each is shared by network block (I13).
private struct SignatureBudget {
    private var devices: FairRate
    private var strangers: FairRate

    init(perSecond: Double, now: Duration) {
        devices = FairRate(perSecond: perSecond, now: now)
        strangers = FairRate(perSecond: max(1, perSecond / 2), now: now)
    }

    mutating func take(_ address: ClientAddress, from purse: SignaturePurse, now: Duration) -> Duration? {
        switch purse {
        case .devices: devices.take(address, now: now)
        case .strangers: strangers.take(address, now: now)
        }
    }

    mutating func refund(_ address: ClientAddress, now: Duration) { devices.giveBack(address, now: now) }
}

/// What the gateway counts.
struct GatewayMetrics: Sendable {
    let strangers = Gauge(label: "gateway_sockets", dimensions: [("state", "unauthenticated")])
    let authenticated = Gauge(label: "gateway_sockets", dimensions: [("state", "authenticated")])
    let dismissed = Gauge(label: "gateway_sockets", dimensions: [("state", "dismissed")])
    let waiting = Gauge(label: "gateway_sockets_waiting")
    let displaced = Counter(label: "gateway_sockets_displaced")
    let accepted = Counter(label: "gateway_sockets_accepted")
    let refused = Counter(label: "gateway_sockets_refused")
    let requests = Counter(label: "gateway_requests")
    let events = Counter(label: "gateway_events")
    let answerTime = Metrics.Timer(label: "gateway_answer")
    private let refusals: [ErrorCode: Counter]
    private let limits: [String: Counter]
    private let otherLimits = Counter(label: "gateway_limits_reached", dimensions: [("reason", "other")])

    /// The reasons that are counted by themselves; a plugin's own ones, which know no bounds, are not.
    private static let limitReasons = [
        "denied_recently", "overloaded", "replaced_too_often", "requests_of_address", "requests_total",
        "too_many_proofs", "too_many_wrong_codes", "unacknowledged", "unanswered",
    ]

    init() {
        limits = Dictionary(
            uniqueKeysWithValues: Self.limitReasons.map {
                ($0, Counter(label: "gateway_limits_reached", dimensions: [("reason", $0)]))
            })
        refusals = Dictionary(
            uniqueKeysWithValues: ErrorCode.allCases.map {
                ($0, Counter(label: "gateway_refusals", dimensions: [("code", $0.rawValue)]))
            })
    }

    func refusal(_ refusal: Refusal) {
        refusals[refusal.code]?.increment()
        if refusal.code == .resourceExhausted { (limits[refusal.reason] ?? otherLimits).increment() }
    }

    func sockets(_ admission: SocketAdmission<any AdmittedConnection>) {
        strangers.record(admission.strangerCount)
        authenticated.record(admission.authenticatedCount)
        dismissed.record(admission.dismissedCount)
        waiting.record(admission.waitingCount)
    }
}

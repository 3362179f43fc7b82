import Logging
import Metrics
import NIOCore
import PairingCore
import PairingKernel
import Synchronization

/// What all sockets of one gateway share. Thread-safe.
final class GatewayContext: Sendable {
    let kernel: Kernel
    let sessions: DeviceSessions
    let facts: ServerFacts
    let clock: WallClock
    let logger: Logger
    let metrics = GatewayMetrics()
    let admission: Mutex<SocketAdmission>
    private let signatures: Mutex<SignatureBudget>
    private let socketCount = Atomic<UInt64>(0)

    init(
        kernel: Kernel, sessions: DeviceSessions, settings: GatewaySettings, clock: @escaping WallClock,
        logger: Logger
    ) {
        self.kernel = kernel
        self.sessions = sessions
        self.clock = clock
        self.logger = logger
        facts = ServerFacts(instanceID: sessions.instanceID, settings: settings)
        admission = Mutex(
            SocketAdmission(
                sockets: settings.sockets, strangers: settings.unauthenticatedSockets,
                strangersPerAddress: settings.unauthenticatedSocketsPerAddress))
        signatures = Mutex(
            SignatureBudget(
                perSecond: Double(settings.signaturesPerSecond), now: NIODeadline.now().sinceStart))
    }

    /// A number for a new socket.
    func nextSocketID() -> SocketID {
        SocketID(socketCount.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// Pays for one signature check.
    ///
    /// - Returns: how long to wait where there is nothing left.
    func paySignature(_ address: ClientAddress, now: NIODeadline) -> Duration? {
        signatures.withLock { $0.take(address, now: now.sinceStart) }
    }

    /// 32 random bytes of the operating system's generator, in base64url.
    static func makeNonce() -> String {
        var generator = SystemRandomNumberGenerator()
        let words = (0..<4).map { _ in generator.next() }
        return words.withUnsafeBytes { Base64URL.encode($0) }
    }
}

/// Signature checks a second: of the instance, and half of them for any one address.
private struct SignatureBudget {
    private var instance: TokenBucket
    private var addresses: KeyedTokenBuckets

    init(perSecond: Double, now: Duration) {
        instance = TokenBucket(perSecond: perSecond, burst: perSecond, now: now)
        addresses = KeyedTokenBuckets(
            perSecond: perSecond / 2, burst: max(1, perSecond / 2), capacity: 4096, now: now)
    }

    mutating func take(_ address: ClientAddress, now: Duration) -> Duration? {
        addresses.take(address.limitKey, now: now) ?? instance.take(now: now)
    }
}

/// What the gateway counts.
struct GatewayMetrics: Sendable {
    let strangers = Gauge(label: "gateway_sockets", dimensions: [("state", "unauthenticated")])
    let authenticated = Gauge(label: "gateway_sockets", dimensions: [("state", "authenticated")])
    let accepted = Counter(label: "gateway_sockets_accepted")
    let refused = Counter(label: "gateway_sockets_refused")
    let requests = Counter(label: "gateway_requests")
    let events = Counter(label: "gateway_events")
    let answerTime = Metrics.Timer(label: "gateway_answer")
    private let refusals: [ErrorCode: Counter]

    init() {
        refusals = Dictionary(
            uniqueKeysWithValues: ErrorCode.allCases.map {
                ($0, Counter(label: "gateway_refusals", dimensions: [("code", $0.rawValue)]))
            })
    }

    func refusal(_ code: ErrorCode) { refusals[code]?.increment() }

    func sockets(_ admission: SocketAdmission) {
        strangers.record(admission.strangerCount)
        authenticated.record(admission.authenticatedCount)
    }
}

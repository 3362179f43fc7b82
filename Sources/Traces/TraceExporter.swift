import AsyncHTTPClient
import Logging
import Metrics
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Synchronization
import Tracing

/// Sends spans to a collector over OTLP/HTTP. One that is away costs nothing but spans: they are dropped and counted.
///
/// As one of a process's services it ends after those that make spans.
package final class TraceExporter: Service {
    /// How long spans wait for others to go out with them.
    private static let interval = Duration.seconds(1)
    /// How long an answer of the collector is waited for.
    private static let timeout = TimeAmount.seconds(10)
    /// The longest pause after a collector that was away.
    private static let longestPause = Duration.seconds(30)
    /// How long a process that ends tries to get rid of what it has.
    private static let farewell = Duration.seconds(2)

    private let state = Mutex(SpanQueue())
    private let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let endpoint: String
    private let document: TraceDocument
    private let logger: Logger
    private let exported = Counter(label: "trace_spans", dimensions: [("outcome", "exported")])
    private let dropped = Counter(label: "trace_spans", dimensions: [("outcome", "dropped")])

    /// - Parameter endpoint: where the collector is, such as `http://127.0.0.1:4318`; `/v1/traces` is added.
    package init(endpoint: String, resource: TraceResource, logger: Logger) {
        self.endpoint = endpoint + (endpoint.hasSuffix("/") ? "" : "/") + "v1/traces"
        document = TraceDocument(resource: resource)
        self.logger = logger
    }

    /// What records for this exporter.
    ///
    /// - Parameters:
    ///   - percent: how many of a hundred requests are recorded, 0...100.
    ///   - perSecond: the most traces that begin in a second.
    package func tracer(percent: Int, perSecond: Int) -> RecordingTracer {
        RecordingTracer(sampler: TraceSampler(percent: percent, perSecond: perSecond, now: .zero)) {
            [weak self] in self?.add($0)
        }
    }

    private func add(_ span: FinishedSpan) {
        switch state.withLock({ $0.add(span) }) {
        case .added: break
        case .full: wakes.continuation.yield()
        case .dropped: dropped.increment()
        }
    }

    /// Sends until the process ends, and then what is left.
    package func run() async throws {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.timeout))
        configuration.connectionPool.retryConnectionEstablishment = false
        // What it does is none of what it tells about.
        configuration.tracing.tracer = nil
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepSending(with: client) }
            group.addTask { try? await gracefulShutdown() }
            await group.next()
            group.cancelAll()
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.sendTheRest(with: client) }
            group.addTask { try? await Task.sleep(for: Self.farewell) }
            await group.next()
            group.cancelAll()
        }
        dropped.increment(by: state.withLock { $0.spans.count })
        try? await client.shutdown()
    }

    private func keepSending(with client: HTTPClient) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while (try? await Task.sleep(for: Self.interval)) != nil { self.wakes.continuation.yield() }
                self.wakes.continuation.finish()
            }
            var pause = Self.interval
            var notBefore = ContinuousClock.now
            for await _ in wakes.stream where notBefore <= .now {
                let batch = state.withLock { $0.take() }
                if batch.isEmpty { continue }
                if await send(batch, with: client) {
                    pause = Self.interval
                    if state.withLock({ $0.isBatch }) { wakes.continuation.yield() }
                } else {
                    notBefore = .now + pause
                    pause = min(pause * 2, Self.longestPause)
                }
            }
        }
    }

    private func sendTheRest(with client: HTTPClient) async {
        while !Task.isCancelled {
            let batch = state.withLock { $0.take() }
            guard !batch.isEmpty, await send(batch, with: client) else { return }
        }
    }

    /// Makes one attempt; what the collector does not take is dropped, for newer spans say more.
    ///
    /// - Returns: whether the collector answers.
    private func send(_ batch: [FinishedSpan], with client: HTTPClient) async -> Bool {
        var request = HTTPClientRequest(url: endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "goclaw-nodes")
        request.body = .bytes(ByteBuffer(string: document.text(of: batch)))
        let problem: String
        do {
            let response = try await client.execute(request, timeout: Self.timeout)
            _ = try? await response.body.collect(upTo: 64 << 10)
            if (200..<300).contains(response.status.code) {
                exported.increment(by: batch.count)
                return true
            }
            problem = "status \(response.status.code)"
        } catch let error as HTTPClientError {
            problem = error.shortDescription
        } catch {
            problem = "\(type(of: error))"
        }
        dropped.increment(by: batch.count)
        logger.info(
            "Spans were not taken by the collector",
            metadata: ["endpoint": "\(endpoint)", "spans": "\(batch.count)", "problem": "\(problem)"])
        return false
    }
}

import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Synchronization
import Tracing

/// How long an answer may take.
package struct AgentTimes: Sendable, Equatable {
    /// From the request to the answer's last byte.
    package var whole: Duration
    /// From one byte of the answer to the next, and to the first.
    package var silence: Duration

    /// Wraps the two.
    package init(whole: Duration, silence: Duration) {
        self.whole = whole
        self.silence = silence
    }
}

/// An answer's body while it arrives.
typealias AgentBody = AsyncMapSequence<HTTPClientResponse.Body, ByteBuffer>

/// The way to agents over HTTP, shared by all connectors of a process.
package final class AgentHTTP: Sendable {
    /// How long a connection may take to be made.
    private static let connectTimeout = TimeAmount.seconds(10)
    /// How much of an answer with an error status is read.
    private static let maximumComplaint = 16 << 10

    /// How long the end of an answer that is known already is waited for.
    private static let patience = Duration.milliseconds(50)

    private let client: HTTPClient

    /// Follows no redirect: a key is for the address it was configured with.
    ///
    /// - Parameter addresses: where hosts of these names are, so that nobody is asked for them again.
    package init(resolving addresses: [String: String] = [:]) {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.connectTimeout))
        // Each agent has a bound of its own; a connection more than another agent's is no reason to wait.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1024
        // Who is not there is said at once; whoever asks decides when to try again.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.dnsOverride = addresses
        // It would tell of whole addresses, and some hold a secret.
        configuration.tracing.tracer = nil
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    deinit {
        // The client insists on its end, also where a start fails half way; a second end is none.
        client.shutdown { _ in }
    }

    /// Ends what is under way; no request may be made afterwards.
    package func shutdown() async throws { try await client.shutdown() }

    /// Posts JSON and has a successful answer read.
    ///
    /// - Parameters:
    ///   - times: for all of it, to the last byte that `read` takes.
    ///   - complaint: what an answer with an error status says of itself.
    ///   - read: takes the answer's status and body. It may say what the answer is while bytes that mean nothing are
    ///     still to come; these are waited for a moment, as a connection read to its end can be used again.
    func post<Value: Sendable>(
        _ body: String, to url: String, headers: HTTPHeaders, times: AgentTimes,
        complaint: @escaping @Sendable ([UInt8]) -> String?,
        read:
            @escaping @Sendable (HTTPResponseStatus, AgentBody, _ settle: (Value) -> Void) async throws ->
            Value
    ) async throws(AgentFailure) -> Value {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
        request.headers.replaceOrAdd(name: "User-Agent", value: "goclaw-nodes")
        if let context = ServiceContext.current {
            InstrumentationSystem.instrument.inject(context, into: &request.headers, using: HeaderWriter())
        }
        request.body = .bytes(ByteBuffer(string: body))
        let prepared = request
        let progress = Progress<Value>()
        return try await within(times, progress) { [client] in
            let response = try await client.execute(prepared, deadline: .distantFuture)
            progress.heard()
            guard (200..<300).contains(response.status.code) else {
                let text = try? await response.body.collect(upTo: Self.maximumComplaint)
                throw AgentFailure(
                    response.status, retryAfter: response.headers.first(name: "Retry-After"),
                    complaint: text.flatMap { complaint(Array($0.readableBytesView)) })
            }
            let body = response.body.map { buffer in
                progress.heard()
                return buffer
            }
            return try await read(response.status, body, progress.settle)
        }
    }

    /// Tells an agent what its request is a part of, where that is recorded.
    private struct HeaderWriter: Injector {
        func inject(_ value: String, forKey key: String, into carrier: inout HTTPHeaders) {
            carrier.replaceOrAdd(name: key, value: value)
        }
    }

    /// How far an answer has come.
    private final class Progress<Value: Sendable>: Sendable {
        private struct State {
            var lastHeard = ContinuousClock.now
            var answer: Value?
        }

        private let state = Mutex(State())
        private let pair = AsyncStream.makeStream(of: Void.self)

        /// When the agent was last heard.
        var lastHeard: ContinuousClock.Instant { state.withLock { $0.lastHeard } }
        /// The answer, where it is known already.
        var answer: Value? { state.withLock { $0.answer } }
        /// Ends once the answer is known.
        var isSettled: AsyncStream<Void> { pair.stream }

        func heard() { state.withLock { $0.lastHeard = .now } }

        func settle(_ answer: Value) {
            state.withLock { $0.answer = answer }
            pair.continuation.finish()
        }
    }

    private enum Outcome<Value: Sendable>: Sendable {
        case ended(Result<Value, AgentFailure>)
        case late
        case silent
        case settled
    }

    /// Carries out `body`, but no longer than that.
    private func within<Value: Sendable>(
        _ times: AgentTimes, _ progress: Progress<Value>, _ body: @escaping @Sendable () async throws -> Value
    ) async throws(AgentFailure) -> Value {
        let outcome = await withTaskGroup(of: Outcome<Value>.self) { group in
            group.addTask {
                do {
                    return .ended(.success(try await body()))
                } catch {
                    return .ended(.failure(AgentFailure(error)))
                }
            }
            group.addTask {
                try? await Task.sleep(for: times.whole)
                return .late
            }
            group.addTask {
                while true {
                    let quiet = ContinuousClock.now - progress.lastHeard
                    guard quiet < times.silence, (try? await Task.sleep(for: times.silence - quiet)) != nil
                    else { return .silent }
                }
            }
            group.addTask {
                for await _ in progress.isSettled {}
                try? await Task.sleep(for: Self.patience)
                return .settled
            }
            let first = await group.next() ?? .late
            group.cancelAll()
            return first
        }
        // Whatever becomes of the connection then.
        if let answer = progress.answer { return answer }
        if case .ended(let result) = outcome { return try result.get() }
        if Task.isCancelled { throw AgentFailure(.cancelled, "The answer was not waited for.") }
        if case .silent = outcome {
            throw AgentFailure(.timedOut, "Nothing came for \(times.silence).")
        }
        throw AgentFailure(.timedOut, "There was no whole answer within \(times.whole).")
    }
}

extension AgentFailure {
    /// What becomes of an error of the connection.
    fileprivate init(_ error: any Error) {
        switch error {
        case let failure as AgentFailure: self = failure
        case is CancellationError, HTTPClientError.cancelled as HTTPClientError:
            self = AgentFailure(.cancelled, "The answer was not waited for.")
        case let error as HTTPClientError where error == .connectTimeout || error == .readTimeout:
            self = AgentFailure(.timedOut, "\(error.shortDescription).")
        case let error as HTTPClientError:
            self = AgentFailure(.unreachable, "\(error.shortDescription).")
        default: self = AgentFailure(.unreachable, "The connection failed: \(type(of: error)).")
        }
    }

    /// What an answer with an error status means (RFC 9110 §15).
    fileprivate init(_ status: HTTPResponseStatus, retryAfter: String?, complaint: String?) {
        let reason: Reason =
            switch status.code {
            case 429, 503: .busy
            case 408, 425, 500...: .unreachable
            default: .refused
            }
        let said = complaint.map { ": \($0)" } ?? "."
        self = AgentFailure(
            reason, "It answers with status \(status.code)\(said)",
            retryAfter: retryAfter.flatMap { AgentFailure.delay($0, now: Date.now) })
        self.status = status.code
    }

    /// A Retry-After header: seconds, or a date (RFC 9110 §10.2.3); at most an hour.
    static func delay(_ header: String, now: Date) -> Duration? {
        let most = 3600.0
        if let seconds = Int(header) { return .seconds(min(max(Double(seconds), 0), most)) }
        guard let date = httpDate(header) else { return nil }
        return .seconds(min(max(date.timeIntervalSince(now), 0), most))
    }

    /// A date as HTTP spells it, such as `Fri, 27 Nov 2026 02:00:30 GMT`; its two older forms are not read.
    static func httpDate(_ text: String) -> Date? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let fields = text.split(separator: " ")
        guard fields.count == 6, fields[5] == "GMT", let month = months.firstIndex(of: String(fields[2]))
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return try? Date("\(fields[3])-\(number)-\(fields[1])T\(fields[4])Z", strategy: .iso8601)
    }
}

import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// The way to agents over HTTP, shared by all connectors of a process.
package final class AgentHTTP: Sendable {
    /// How long a connection may take to be made.
    private static let connectTimeout = TimeAmount.seconds(10)
    /// How much of an answer with an error status is read.
    private static let maximumComplaint = 16 << 10

    private let client: HTTPClient

    /// Follows no redirect: a key is for the address it was configured with.
    package init() {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.connectTimeout))
        // Each agent has a bound of its own; a connection more than another agent's is no reason to wait.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1024
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Ends what is under way; no request may be made afterwards.
    package func shutdown() async throws { try await client.shutdown() }

    /// Posts JSON and has a successful answer read.
    ///
    /// - Parameters:
    ///   - timeout: for all of it, to the last byte that `read` takes.
    ///   - complaint: what an answer with an error status says of itself.
    ///   - read: takes the answer's status and body; what it leaves of the body is not waited for.
    func post<Value: Sendable>(
        _ body: String, to url: String, headers: HTTPHeaders, timeout: Duration,
        complaint: @escaping @Sendable ([UInt8]) -> String?,
        read: @escaping @Sendable (HTTPResponseStatus, HTTPClientResponse.Body) async throws -> Value
    ) async throws(AgentFailure) -> Value {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
        request.headers.replaceOrAdd(name: "User-Agent", value: "goclaw-nodes")
        request.body = .bytes(ByteBuffer(string: body))
        let prepared = request
        return try await within(timeout) { [client] in
            let response = try await client.execute(prepared, deadline: .distantFuture)
            guard (200..<300).contains(response.status.code) else {
                let text = try? await response.body.collect(upTo: Self.maximumComplaint)
                throw AgentFailure(
                    response.status, retryAfter: response.headers.first(name: "Retry-After"),
                    complaint: text.flatMap { complaint(Array($0.readableBytesView)) })
            }
            return try await read(response.status, response.body)
        }
    }

    /// Carries out `body`, but no longer than that.
    private func within<Value: Sendable>(
        _ timeout: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async throws(AgentFailure) -> Value {
        let outcome = await withTaskGroup(of: Result<Value, AgentFailure>?.self) { group in
            group.addTask {
                do {
                    return .success(try await body())
                } catch {
                    return .failure(AgentFailure(error))
                }
            }
            group.addTask {
                try? await Task.sleep(for: timeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        if let outcome { return try outcome.get() }
        if Task.isCancelled { throw AgentFailure(.cancelled, "The answer was not waited for.") }
        throw AgentFailure(.timedOut, "There was no whole answer within \(timeout).")
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
    }

    /// A Retry-After header: seconds, or a date (RFC 9110 §10.2.3); at most an hour.
    static func delay(_ header: String, now: Date) -> Duration? {
        let most = 3600.0
        if let seconds = Int(header) { return .seconds(min(max(Double(seconds), 0), most)) }
        guard let date = try? Date(header, strategy: .http) else { return nil }
        return .seconds(min(max(date.timeIntervalSince(now), 0), most))
    }
}

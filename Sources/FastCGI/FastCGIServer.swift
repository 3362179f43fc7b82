import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import Unix

/// Answers the requests that a web server passes on over FastCGI (libfcgi) through a unix socket.
///
/// One thread serves one connection from its first byte to its last, and one connection carries one request:
/// libfcgi can't wait for the next request of a kept-alive connection without holding a thread, so the
/// web server should not ask for that (nginx: no `fastcgi_keep_conn`); if it does, the connection is closed all
/// the same. Connections beyond the number of threads wait in the socket's backlog.
///
/// Whoever can connect to the socket can claim any client address and any header. Its mode therefore lets in
/// the process's own user and group, and the web server's workers must belong to that group.
public final class FastCGIServer: Service {
    /// The server's limits.
    public struct Configuration: Sendable {
        /// How many requests are served at once, each on a thread: 1...1024. There must be more than requests
        /// that may wait for something slow together, such as password checks.
        public var threads = 32
        /// A longer body is answered with 413: 0...1 GiB.
        public var maximumBodyBytes = 64 << 10
        /// How long a request's bytes may take to arrive, and a response's to leave; 408 or silence after it.
        public var transferTimeout: Duration = .seconds(10)
        /// How long the handler may take; 503 after it.
        public var requestTimeout: Duration = .seconds(30)
        /// The permission bits of the socket's file.
        public var socketMode: UInt32 = 0o660
        /// How many connections may wait for a thread; the kernel bounds it by `net.core.somaxconn`.
        public var backlog: Int32 = 4096

        /// The defaults.
        public init() {}
    }

    private let configuration: Configuration
    private let logger: Logger
    private let handler: @Sendable (FastCGIRequest) async -> FastCGIResponse
    private let listener: UnixListener
    /// The requests that are with the handler; `nil` once nobody waits for handlers any more.
    private let exchanges = Mutex<[ObjectIdentifier: any Abandonable]?>([:])

    /// Listens; connections wait until ``run()`` is called.
    ///
    /// - Parameters:
    ///   - path: of the unix socket, at most 107 bytes. A socket that a dead process left there is replaced; a
    ///     live one, or any other file, is an error.
    ///   - configuration: the limits.
    ///   - logger: told about refused connections, timeouts and invalid responses.
    ///   - handler: answers one request. Its task is cancelled when the request times out.
    /// - Throws: `ListeningSocketError`.
    public init(
        path: String, configuration: Configuration = Configuration(), logger: Logger,
        handler: @escaping @Sendable (FastCGIRequest) async -> FastCGIResponse
    ) throws(ListeningSocketError) {
        precondition((1...1024).contains(configuration.threads))
        precondition((0...1 << 30).contains(configuration.maximumBodyBytes))
        self.configuration = configuration
        self.logger = logger
        self.handler = handler
        self.listener = UnixListener(
            try ListeningSocket(
                path: path, mode: configuration.socketMode, backlog: configuration.backlog))
    }

    /// Serves until graceful shutdown or cancellation.
    ///
    /// Either removes the socket and refuses new connections. Graceful shutdown then answers what has been
    /// accepted and what waits in the backlog; cancellation answers it with 503 at once.
    ///
    /// - Throws: ``FastCGIServerError`` when it cannot serve at all.
    public func run() async throws {
        guard LibFCGI.isInitialized else { throw FastCGIServerError.libraryFailed }
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await runOnThreads(configuration.threads) { started in
                    logger.error("the system gave \(started) of \(configuration.threads) threads")
                } body: {
                    self.work()
                }
            } onGracefulShutdown: {
                self.listener.stop()
            }
        } onCancel: {
            self.listener.stop()
            self.abandonExchanges()
        }
    }

    /// What each thread does.
    private func work() {
        while let accepted = listener.accept() {
            switch accepted {
            case .success(let descriptor):
                serve(Connection(descriptor: descriptor, sendTimeout: configuration.transferTimeout))
            case .failure(let error):
                // Out of descriptors or memory: others will give some back.
                logger.error("cannot accept a connection: \(String(cString: strerror(error.code)))")
                poll(nil, 0, 100)
            }
        }
    }

    private func serve(_ connection: Connection) {
        let received = connection.receive(
            timeout: configuration.transferTimeout, maximumBodyBytes: configuration.maximumBodyBytes)
        switch received {
        case .nothing(let reason):
            logger.debug("connection dropped: \(reason)")
        case .failed(let decoded, let status):
            logger.debug("request refused with \(status)")
            send(FastCGIResponse(error: status), to: decoded, method: "", on: connection)
            connection.drain(timeout: configuration.transferTimeout)
        case .request(let decoded, let request):
            send(answer(request), to: decoded, method: request.method, on: connection)
        }
    }

    private func answer(_ request: FastCGIRequest) -> FastCGIResponse {
        guard let response = wait(for: Exchange { [handler] in await handler(request) }) else {
            logger.warning(
                "request unanswered in time",
                metadata: ["method": "\(request.method)", "path": "\(request.path.debugDescription)"])
            return FastCGIResponse(error: 503)
        }
        return response
    }

    /// Blocks the thread until there is an answer, the time is over or nobody waits any more.
    private func wait<Response>(for exchange: Exchange<Response>) -> Response? {
        let id = ObjectIdentifier(exchange)
        let isAbandoned = exchanges.withLock { exchanges in
            exchanges?[id] = exchange
            return exchanges == nil
        }
        if isAbandoned { exchange.abandon() }
        defer { exchanges.withLock { _ = $0?.removeValue(forKey: id) } }
        return exchange.wait(timeout: configuration.requestTimeout)
    }

    private func abandonExchanges() {
        let abandoned = exchanges.withLock { exchanges in
            defer { exchanges = nil }
            return exchanges.map { Array($0.values) } ?? []
        }
        for exchange in abandoned { exchange.abandon() }
    }

    private func send(
        _ response: FastCGIResponse, to request: DecodedRequest, method: String,
        on connection: Connection
    ) {
        let bytes: [UInt8]
        do {
            bytes = try response.serialized(method: method)
        } catch {
            logger.error("the handler's response is invalid: \(error)")
            send(FastCGIResponse(error: 500), to: request, method: method, on: connection)
            return
        }
        let isTaken =
            if let parts = response.parts, method != "HEAD" {
                send(bytes, then: parts, to: request, on: connection)
            } else {
                connection.send(bytes, to: request)
            }
        if !isTaken { logger.debug("the web server did not take the whole response") }
    }

    /// - Returns: whether all was sent; what is cut off is left without its end.
    private func send(
        _ bytes: [UInt8], then parts: @escaping @Sendable () async throws -> [UInt8]?,
        to request: DecodedRequest, on connection: Connection
    ) -> Bool {
        var part = bytes
        while connection.send(part: part, to: request) {
            let next = wait(
                for: Exchange {
                    do { return Result<[UInt8]?, any Error>.success(try await parts()) } catch {
                        return .failure(error)
                    }
                })
            switch next {
            case .success(let bytes?): part = bytes
            case .success(nil): return connection.end(request)
            case .failure(let error):
                logger.warning("a response was cut off", metadata: ["error": "\(error)"])
                return false
            case nil: return false
            }
        }
        return false
    }
}

/// Why a ``FastCGIServer`` cannot serve.
public enum FastCGIServerError: Error, CustomStringConvertible {
    /// libfcgi could not be initialized.
    case libraryFailed
    /// The system gave no thread.
    case noThreads

    /// One sentence for an operator.
    public var description: String {
        switch self {
        case .libraryFailed: "libfcgi could not be initialized; the process may be out of memory"
        case .noThreads: "the system gave no thread to serve requests with; see ulimit -u"
        }
    }
}

import CFastCGI
import Glibc

/// One connection of the web server, used by one thread: one request and its response.
final class Connection {
    private let descriptor: Int32
    private let clock = ContinuousClock()

    /// Takes the descriptor over.
    ///
    /// - Parameter sendTimeout: how long the peer may take nothing of a response.
    init(descriptor: Int32, sendTimeout: Duration) {
        self.descriptor = descriptor
        var timeout = timeval()
        timeout.tv_sec = Int(sendTimeout.components.seconds)
        timeout.tv_usec = Int(sendTimeout.components.attoseconds / 1_000_000_000_000)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// What arrived.
    enum Received {
        /// A complete request.
        case request(DecodedRequest, FastCGIRequest)
        /// A request that is answered with an error at once. Some of it may not have been read.
        case failed(DecodedRequest, status: Int)
        /// Nothing that could be answered, and why.
        case nothing(String)
    }

    /// Receives a request.
    ///
    /// - Parameters:
    ///   - timeout: for the whole request.
    ///   - maximumBodyBytes: a longer body fails with 413.
    func receive(timeout: Duration, maximumBodyBytes: Int) -> Received {
        // libfcgi reads from a descriptor, and from a file in memory it can't wait for a peer.
        let file = memfd_create("fastcgi-request", MFD_CLOEXEC)
        guard file >= 0 else { return .nothing("memfd_create: \(String(cString: strerror(errno)))") }
        var framing = RequestFraming(maximumBodyBytes: maximumBodyBytes)
        let end = fill(file, &framing, until: clock.now + timeout)
        guard framing.hasParameters else {
            close(file)
            return .nothing(end.description)
        }
        lseek(file, 0, SEEK_SET)
        guard let decoded = DecodedRequest(received: file) else {
            return .nothing("libfcgi refused the request")
        }
        switch end {
        case .refused(let reason): return .nothing(reason)
        case .timedOut: return .failed(decoded, status: 408)
        case .bodyTooLarge: return .failed(decoded, status: 413)
        case .complete: break
        }
        let parameters = decoded.parameters
        let declared = parameters.first { $0.name == "CONTENT_LENGTH" }?.value ?? ""
        guard let contentLength = Self.contentLength(declared) else {
            return .failed(decoded, status: 400)
        }
        guard contentLength <= maximumBodyBytes else { return .failed(decoded, status: 413) }
        guard contentLength == framing.bodyBytes, let body = decoded.body(count: contentLength) else {
            return .failed(decoded, status: 400)
        }
        return .request(decoded, FastCGIRequest(parameters: parameters, body: body))
    }

    /// Writes the response.
    ///
    /// - Returns: whether the web server took all of it.
    func send(_ response: [UInt8], to request: DecodedRequest) -> Bool {
        request.respond(response, on: descriptor)
    }

    /// Writes a part of the response.
    ///
    /// - Returns: whether the web server is still there.
    func send(part: [UInt8], to request: DecodedRequest) -> Bool { request.write(part, on: descriptor) }

    /// Ends a response that was sent in parts.
    func end(_ request: DecodedRequest) -> Bool { request.end(on: descriptor) }

    /// Reads and forgets what the peer still sends until it closes or `timeout` is over.
    ///
    /// Closing a socket with unread input tells the peer that its connection was reset, and it may then drop
    /// the response that it was sent.
    func drain(timeout: Duration) {
        shutdown(descriptor, Int32(SHUT_WR))
        let deadline = clock.now + timeout
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while read(into: &buffer, until: deadline) ?? 0 > 0 {}
    }

    /// Nothing declared is a request without a body.
    static func contentLength(_ declared: String) -> Int? {
        if declared.isEmpty { return 0 }
        guard declared.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int(declared)
    }
}

extension Connection {
    private enum End: CustomStringConvertible {
        case complete
        case bodyTooLarge
        case timedOut
        case refused(String)

        var description: String {
            switch self {
            case .complete: "complete"
            case .bodyTooLarge: "body too large"
            case .timedOut: "the request did not arrive in time"
            case .refused(let reason): reason
            }
        }
    }

    /// Copies the request into the file as far as it passes the framing.
    private func fill(
        _ file: Int32, _ framing: inout RequestFraming, until deadline: ContinuousClock.Instant
    ) -> End {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            guard let count = read(into: &buffer, until: deadline) else { return .timedOut }
            guard count > 0 else { return .refused("closed by the web server") }
            let progress = framing.consume(buffer[..<count])
            switch progress {
            case .incomplete, .complete:
                guard Glibc.write(file, buffer, count) == count else {
                    return .refused("out of memory for the request")
                }
                if progress == .complete { return .complete }
            case .bodyTooLarge:
                // The parameters may have come with the same bytes.
                guard Glibc.write(file, buffer, count) == count else {
                    return .refused("out of memory for the request")
                }
                return .bodyTooLarge
            case .refused(let reason): return .refused(reason)
            }
        }
    }

    /// - Returns: how many bytes were read, 0 when the peer is gone, `nil` at the deadline.
    private func read(into buffer: inout [UInt8], until deadline: ContinuousClock.Instant) -> Int? {
        while true {
            let left = deadline - clock.now
            guard left > .zero else { return nil }
            var readable = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds =
                left.components.seconds * 1_000 + left.components.attoseconds / 1_000_000_000_000_000
            let ready = poll(&readable, 1, Int32(clamping: milliseconds + 1))
            if ready == 0 || ready < 0 && errno == EINTR { continue }
            guard ready > 0 else { return 0 }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { return 0 }
        }
    }
}

import CFastCGI
import Glibc

/// libfcgi's view of one request that has arrived and passed ``RequestFraming``.
///
/// Used by one thread.
final class DecodedRequest {
    private let request: UnsafeMutablePointer<FCGX_Request>

    /// Reads the request's parameters.
    ///
    /// libfcgi is given the connection instead of the listening socket: its own accept leaves no way to
    /// bound the time a peer takes. A request whose `ipcFd` is set and "kept" is what it finds between two
    /// requests of a kept-alive connection.
    ///
    /// - Parameter received: a file with the request's records; taken over.
    /// - Returns: `nil` if libfcgi refuses it.
    init?(received: Int32) {
        request = .allocate(capacity: 1)
        FCGX_InitRequest(request, -1, 0)
        request.pointee.ipcFd = received
        request.pointee.keepConnection = 1
        // On failure libfcgi closes the file and forgets it.
        guard FCGX_Accept_r(request) == 0 else { return nil }
    }

    deinit {
        let file = request.pointee.ipcFd
        FCGX_Free(request, 0)
        if file >= 0 { close(file) }
        request.deallocate()
    }

    /// Names and values in the order they came.
    var parameters: [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        guard var entry = request.pointee.envp else { return [] }
        while let text = entry.pointee {
            let field = UnsafeBufferPointer(start: text, count: strlen(text))
                .map(UInt8.init(bitPattern:))
            let name = field.prefix { $0 != UInt8(ascii: "=") }
            result.append(
                (
                    String(decoding: name, as: UTF8.self),
                    String(decoding: field.dropFirst(name.count + 1), as: UTF8.self)
                ))
            entry += 1
        }
        return result
    }

    /// Reads the body.
    ///
    /// - Parameter count: the bytes of the body that have arrived.
    /// - Returns: `nil` if there are fewer.
    func body(count: Int) -> [UInt8]? {
        let body = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let read = buffer.withMemoryRebound(to: CChar.self) {
                FCGX_GetStr($0.baseAddress, Int32(count), request.pointee.in)
            }
            initialized = Int(read)
        }
        return body.count == count ? body : nil
    }

    /// Writes the whole response and the end of the request.
    ///
    /// - Parameter connection: a blocking socket.
    /// - Returns: whether the peer took everything.
    func respond(_ response: [UInt8], on connection: Int32) -> Bool {
        guard write(response, on: connection) else { return false }
        return end(on: connection)
    }

    /// Writes a part of the response.
    ///
    /// - Returns: whether the peer took what had to be sent of it; some may wait for the next part.
    func write(_ part: [UInt8], on connection: Int32) -> Bool {
        let written = on(connection) {
            part.withUnsafeBytes {
                FCGX_PutStr($0.bindMemory(to: CChar.self).baseAddress, Int32($0.count), request.pointee.out)
            }
        }
        return written == part.count
    }

    /// Writes what waits, and the end of the request. A response that ends without it is seen to be cut off.
    func end(on connection: Int32) -> Bool {
        on(connection) {
            FCGX_FClose(request.pointee.err)
            return FCGX_FClose(request.pointee.out) == 0
        }
    }

    private func on<Value>(_ connection: Int32, _ body: () -> Value) -> Value {
        let file = request.pointee.ipcFd
        request.pointee.ipcFd = connection
        defer { request.pointee.ipcFd = file }
        return body()
    }
}

/// The process-wide state of libfcgi.
enum LibFCGI {
    /// Initializes libfcgi, once.
    ///
    /// libfcgi takes SIGTERM and SIGUSR1 for a wish to refuse every further request and catches them and
    /// SIGPIPE where nobody else does. Signals are the main program's affair, so they are put back, but
    /// SIGPIPE stays ignored instead of deadly: a web server may go away before its answer is written.
    static let isInitialized: Bool = {
        let signals = [SIGTERM, SIGUSR1, SIGPIPE]
        let actions = signals.map { signal in
            var action = sigaction()
            sigaction(signal, nil, &action)
            return action
        }
        defer {
            for (signal, action) in zip(signals, actions) {
                var action = action
                sigaction(signal, &action, nil)
            }
            // A handler of nil is SIG_DFL.
            if actions[2].__sigaction_handler.sa_handler == nil { signal(SIGPIPE, SIG_IGN) }
        }
        return FCGX_Init() == 0
    }()
}

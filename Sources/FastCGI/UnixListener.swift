import CFastCGI
import Glibc
import Synchronization
import Unix

/// Takes connections from a listening unix socket, whose file is removed again by ``stop()``.
final class UnixListener: Sendable {
    private let socket: ListeningSocket
    private let isStopped = Mutex(false)

    /// Takes the socket over.
    init(_ socket: ListeningSocket) { self.socket = socket }

    deinit {
        stop()
        close(socket.descriptor)
    }

    /// Waits for a connection.
    ///
    /// - Returns: the connection's descriptor, which is the caller's, or the error number of accept(2);
    ///   `nil` after ``stop()``, once the connections that were already waiting have been returned.
    func accept() -> Result<Int32, AcceptError>? {
        while true {
            let connection = accept4(socket.descriptor, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
            if connection >= 0 { return .success(connection) }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EINVAL where isStopped.withLock({ $0 }): return nil
            case let code: return .failure(AcceptError(code: code))
            }
        }
    }

    /// Refuses new connections from now on, removes the file unless it has become someone else's, and lets
    /// every ``accept()`` return.
    func stop() {
        let wasStopped = isStopped.withLock { stopped in
            defer { stopped = true }
            return stopped
        }
        guard !wasStopped else { return }
        socket.unlinkIfOwn()
        shutdown(socket.descriptor, Int32(SHUT_RDWR))
    }
}

/// accept(2) failed with this error number.
struct AcceptError: Error {
    let code: Int32
}

import Glibc

/// Why a server cannot listen; says what to do.
public struct ListeningError: Error, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// A bound Unix socket that only its owner and group can connect to.
public struct ListeningSocket: Sendable {
    /// The longest path in bytes; `sockaddr_un` has no room for more.
    public static let maximumPathLength = 107

    /// The descriptor. Whoever takes it closes it.
    public let descriptor: CInt
    /// Where it is.
    public let path: String
    private let device: dev_t
    private let inode: ino_t

    /// Binds a socket with mode 0660; listening is left to the caller.
    ///
    /// What a dead process left at the path is removed. A socket that still answers and anything that is not
    /// a socket stay untouched.
    ///
    /// - Throws: ``ListeningError`` where the path is too long, taken, or cannot be bound.
    public static func bind(path: String) throws(ListeningError) -> ListeningSocket {
        guard (1...maximumPathLength).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw ListeningError(
                "The socket path \(path) has \(path.utf8.count) bytes; "
                    + "expected 1 to \(maximumPathLength). Choose a shorter folder.")
        }
        try removeStale(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("make a socket for", path) }
        do {
            return try bind(descriptor, path)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the path if it still is this socket and not another process's.
    public func unlinkIfOwn() {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unlink(path)
    }

    private static func bind(_ descriptor: CInt, _ path: String) throws(ListeningError) -> ListeningSocket {
        let bound = withAddress(path) { Glibc.bind(descriptor, $0, $1) }
        guard bound == 0 else { throw failure("bind", path) }
        // Nobody can connect before `listen`, so the mode is never seen wider than this.
        var status = stat()
        guard chmod(path, 0o660) == 0, lstat(path, &status) == 0 else {
            throw failure("set the mode of", path)
        }
        return ListeningSocket(
            descriptor: descriptor, path: path, device: status.st_dev, inode: status.st_ino)
    }

    private static func removeStale(_ path: String) throws(ListeningError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw failure("look at", path)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ListeningError(
                "\(path) exists and is not a socket. Remove it, or choose another socket path.")
        }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { throw failure("make a socket for", path) }
        defer { close(probe) }
        guard withAddress(path, { connect(probe, $0, $1) }) != 0 else {
            throw ListeningError(
                "Another process answers at \(path). Stop it, or choose another socket path.")
        }
        guard errno == ECONNREFUSED else { throw failure("find out who owns", path) }
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove the stale", path) }
    }

    /// - Precondition: the path has at most ``maximumPathLength`` bytes.
    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func failure(_ action: String, _ path: String) -> ListeningError {
        let number = errno
        return ListeningError("Cannot \(action) \(path): \(String(cString: strerror(number))).")
    }
}

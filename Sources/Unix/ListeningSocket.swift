import Glibc

/// A listening unix socket.
///
/// The file at its path is made with the given mode before anyone can connect, and replaces only the socket of a
/// process that no longer listens.
public struct ListeningSocket: Sendable {
    /// The descriptor. Whoever takes it closes it.
    public let descriptor: Int32
    /// Where it is.
    public let path: String
    private let device: dev_t
    private let inode: ino_t

    /// Binds and listens.
    ///
    /// - Parameters:
    ///   - path: 1 to 107 bytes; its folder exists.
    ///   - mode: the permission bits of the socket's file, whatever the process's umask.
    ///   - backlog: how many connections may wait; the system bounds it by `net.core.somaxconn`.
    /// - Throws: ``ListeningSocketError``.
    public init(path: String, mode: UInt32, backlog: Int32) throws(ListeningSocketError) {
        var address = try sockaddr_un(path: path)
        // Between finding a stale socket and listening on a new one nobody else may do the same.
        let folder = open(Self.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .system("open the folder of", path, errno) }
        defer { close(folder) }
        guard flock(folder, LOCK_EX) == 0 else { throw .system("lock the folder of", path, errno) }

        try Self.removeStaleSocket(path: path, address: &address)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("make a socket for", path, errno) }
        var status = stat()
        // Nobody can connect before listen(2), so the mode is in force in time.
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0, chmod(path, mode) == 0,
            Glibc.listen(descriptor, backlog) == 0, lstat(path, &status) == 0
        else {
            let code = errno
            close(descriptor)
            throw .system("listen on", path, code)
        }
        self.descriptor = descriptor
        self.path = path
        self.device = status.st_dev
        self.inode = status.st_ino
    }

    /// Listens again, with this backlog: a library that was handed the descriptor may have listened with its own.
    ///
    /// - Throws: ``ListeningSocketError``.
    public func listen(backlog: Int32) throws(ListeningSocketError) {
        guard Glibc.listen(descriptor, backlog) == 0 else { throw .system("listen on", path, errno) }
    }

    /// Removes the file unless it has become another process's.
    public func unlinkIfOwn() {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unlink(path)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func removeStaleSocket(
        path: String, address: inout sockaddr_un
    ) throws(ListeningSocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system("look at", path, errno)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        // Does not wait: a server whose backlog is full is alive, too.
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let probe = socket(AF_UNIX, Int32(kind), 0)
        guard probe >= 0 else { throw .system("make a socket for", path, errno) }
        defer { close(probe) }
        if address.withPointer({ connect(probe, $0, $1) }) == 0 || errno == EAGAIN { throw .inUse(path) }
        guard errno == ECONNREFUSED else { throw .system("connect to the socket at", path, errno) }
        guard unlink(path) == 0 else { throw .system("remove the stale socket at", path, errno) }
    }
}

/// Why there is no socket to listen on.
public enum ListeningSocketError: Error, Equatable, CustomStringConvertible {
    /// The path does not fit a unix socket's address: 1 to 107 bytes without NUL.
    case badPath(String)
    /// There is a file at the path that is not a socket. It is left as it is.
    case notASocket(String)
    /// A running process listens there already.
    case inUse(String)
    /// A system call failed: what for, the path, the error number.
    case system(String, String, Int32)

    /// One sentence for an operator.
    public var description: String {
        switch self {
        case .badPath(let path):
            "the path of a unix socket is 1 to 107 bytes long and has no NUL; \(path.debugDescription) has "
                + "\(path.utf8.count)"
        case .notASocket(let path):
            "\(path) exists and is not a socket; remove it or choose another path"
        case .inUse(let path):
            "another running process listens on \(path); stop it or choose another path"
        case .system(let action, let path, let code):
            "cannot \(action) \(path): \(String(cString: strerror(code))); make its folder, writable by this account, or "
                + "choose another path"
        }
    }
}

extension sockaddr_un {
    fileprivate init(path: String) throws(ListeningSocketError) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &sun_path) { field in
            // One byte stays for the NUL.
            guard !bytes.isEmpty, bytes.count < field.count, !bytes.contains(0) else { return false }
            field.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw .badPath(path) }
    }

    fileprivate mutating func withPointer<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &self) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// A unix socket that a server listens on, or should.
struct SocketFacts: Equatable, Sendable {
    enum Server: String, Sendable { case gateway, kernel }

    /// What an attempt to connect came to.
    enum Listener: Equatable, Sendable {
        /// Somebody listens.
        case present(Process)
        /// The file is there and nobody listens any more.
        case stale
        /// Why it could not be tried.
        case unknown(String)
    }

    /// Who listens.
    struct Process: Equatable, Sendable {
        var pid: Int32
        var user: UInt32
        /// How many files it may have open; `nil` where the system does not say.
        var openFiles: Int?
    }

    var server: Server
    var file: FileFacts
    var listener: Listener
}

/// The unix sockets between nginx and the servers.
enum SocketChecks {
    /// What a unix socket's address holds.
    private static let longestPath = 107

    /// - Parameters:
    ///   - sockets: those that nginx passes to, or the configuration names.
    ///   - webAccount: the account of nginx's workers, where it is known.
    ///   - gatewaySockets: how many devices a gateway is to hold.
    static func findings(
        _ sockets: [SocketFacts], webAccount: AccountFacts?, gatewaySockets: Int?
    ) -> [Finding] {
        sockets.flatMap { socket in
            [place(socket), listener(socket), access(socket, webAccount)].compactMap { $0 }
                + openFiles(socket, gatewaySockets)
        }
    }

    private static func place(_ socket: SocketFacts) -> Finding? {
        let (check, path) = ("socket.path", socket.file.path)
        if path.utf8.count > longestPath {
            return .error(
                check, path, found: "\(path.utf8.count) bytes", expected: "at most \(longestPath) bytes",
                advice: "Choose a shorter folder, such as /run/goclaw-nodes.")
        }
        switch socket.file.kind {
        case .socket: return .ok(check, path, "a socket")
        case .unreachable(let why):
            return .error(
                check, path, found: why, expected: "the socket of a running nodes-\(socket.server.rawValue)",
                advice:
                    "Start it with \(socket.server.rawValue.uppercased())_SOCKET=\(path), or take the line out of nginx's upstream."
            )
        case .file, .folder, .other:
            return .error(
                check, path, found: "it is no socket",
                expected: "the socket of nodes-\(socket.server.rawValue)",
                advice: "Move it away: the server starts only where nothing, or a socket, is.")
        }
    }

    private static func listener(_ socket: SocketFacts) -> Finding? {
        let (check, path) = ("socket.listener", socket.file.path)
        guard socket.file.kind == .socket else { return nil }
        switch socket.listener {
        case .present(let process): return .ok(check, path, "process \(process.pid) listens")
        case .stale:
            return .error(
                check, path, found: "nobody listens: its process is gone",
                expected: "a running nodes-\(socket.server.rawValue)",
                advice: "Start it; it replaces the file by itself. Its log says why it ended.")
        case .unknown(let why):
            return .skipped(
                check, path, "it cannot be connected to: \(why)",
                advice: "Run nodesctl doctor as root or as the servers' account.")
        }
    }

    private static func access(_ socket: SocketFacts, _ webAccount: AccountFacts?) -> Finding? {
        let (check, path) = ("socket.mode", socket.file.path)
        guard socket.file.kind == .socket else { return nil }
        if socket.file.mode & 0o007 != 0 {
            return .error(
                check, path, found: "mode \(socket.file.modeText)",
                expected: "mode 0660: whoever connects may claim to come from any address",
                advice:
                    "Start the server again, which makes it with mode 0660; do not change the mode afterwards."
            )
        }
        if let webAccount, !webAccount.may(2, socket.file) {
            return .error(
                check, path,
                found: "mode \(socket.file.modeText), group \(socket.file.group), which nginx's workers "
                    + "(\(webAccount.name)) may not write",
                expected: "nginx's account in the socket's group",
                advice:
                    "Put \(webAccount.name) into the servers' group (usermod -aG), then start nginx again.")
        }
        return .ok(check, path, "mode \(socket.file.modeText)")
    }

    private static func openFiles(_ socket: SocketFacts, _ gatewaySockets: Int?) -> [Finding] {
        guard socket.server == .gateway, case .present(let process) = socket.listener,
            let limit = process.openFiles, let gatewaySockets
        else { return [] }
        let check = "process.open_files"
        let subject = "process \(process.pid) at \(socket.file.path)"
        // Its log, plugins, pool, listening socket and event loops take some beside the devices.
        let needed = gatewaySockets + 256
        if limit >= needed { return [.ok(check, subject, "\(limit) open files")] }
        return [
            .warning(
                check, subject, found: "\(limit) open files",
                expected: "\(needed): gateway.sockets (\(gatewaySockets)) and 256 of its own",
                advice: "Set LimitNOFILE=\(max(needed, 65536)) in its unit, or lower gateway.sockets.")
        ]
    }
}

import Cryptography
import Glibc
import NodesProcess
import PairingCore

/// The bytes of a file.
///
/// - Returns: `nil` where it cannot be read, or is larger than 16 MiB.
func contents(of path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while bytes.count <= 16 << 20 {
        let count = read(descriptor, &buffer, buffer.count)
        if count == 0 { return bytes }
        guard count > 0 else { return nil }
        bytes += buffer.prefix(count)
    }
    return nil
}

extension SocketFacts.Listener {
    /// Connects to a socket, and lets go of it at once.
    init(at path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { field in
            guard path.utf8.count < field.count else { return false }
            field.copyBytes(from: path.utf8)
            return true
        }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard fits, descriptor >= 0 else {
            self = .unknown("its path is too long, or there is no descriptor left")
            return
        }
        defer { close(descriptor) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard connected == 0 else {
            self = errno == ECONNREFUSED ? .stale : .unknown(String(cString: strerror(errno)))
            return
        }
        // unix(7), SO_PEERCRED: process, user and group of whoever called listen(2).
        var credentials: [UInt32] = [0, 0, 0]
        var length = socklen_t(12)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else {
            self = .unknown(String(cString: strerror(errno)))
            return
        }
        let pid = Int32(bitPattern: credentials[0])
        self = .present(.init(pid: pid, user: credentials[1], openFiles: Self.openFiles(of: pid)))
    }

    /// The soft limit of a process's open files. Source: proc(5), `/proc/[pid]/limits`.
    private static func openFiles(of pid: Int32) -> Int? {
        guard let bytes = contents(of: "/proc/\(pid)/limits") else { return nil }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix("Max open files") }
        return line?.split(separator: " ").dropFirst(3).first.flatMap { Int($0) }
    }
}

extension DiskFacts {
    /// - Returns: `nil` where there is no such folder.
    init?(of folder: String) {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return nil }
        self.init(
            folder: folder, freeBytes: Int(status.f_bavail) * Int(status.f_frsize),
            totalBytes: Int(status.f_blocks) * Int(status.f_frsize))
    }
}

/// Reads nginx's configuration and the certificates that it names.
struct NginxLook: Sendable {
    var path: String

    func facts(origins: [Origin]) -> NginxFacts {
        var facts = NginxFacts(path: path, sites: sites())
        facts.processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        facts.now = .now
        if case .success(let sites) = facts.sites {
            facts.certificates = sites.sites.flatMap { certificates(of: $0, origins) }
        }
        return facts
    }

    private func sites() -> Result<NginxSites, NginxParser.Problem> {
        guard let bytes = contents(of: path) else {
            return .failure(
                .init(text: "it cannot be read: \(String(cString: strerror(errno)))", isOfAccess: true))
        }
        let folder = folder
        var parser = NginxParser { pattern throws(NginxParser.Problem) in
            let pattern = pattern.hasPrefix("/") ? pattern : folder + "/" + pattern
            let paths = files(matching: pattern)
            // As nginx does it: a pattern may match nothing, a name has to be there.
            if paths.isEmpty, !pattern.contains(where: "*?[".contains) {
                throw NginxParser.Problem(text: "\(pattern) is included and is not there")
            }
            var read: [(path: String, text: String)] = []
            for path in paths {
                guard let bytes = contents(of: path) else {
                    throw NginxParser.Problem(text: "\(path) cannot be read", isOfAccess: true)
                }
                read.append((path, String(decoding: bytes, as: UTF8.self)))
            }
            return read
        }
        do throws(NginxParser.Problem) {
            return .success(
                NginxSites(try parser.parse(String(decoding: bytes, as: UTF8.self), named: path)))
        } catch {
            return .failure(error)
        }
    }

    /// nginx takes relative paths from the folder of its configuration.
    private var folder: String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    private func certificates(of site: NginxSites.Site, _ origins: [Origin]) -> [CertificateFacts] {
        let keys = site.server.all("ssl_certificate_key").compactMap(\.first)
        let ports = Set(site.listens.filter(\.isTLS).compactMap(\.port))
        let hosts = origins.filter { $0.isSecure && ports.contains($0.dialledPort) }.map {
            $0.host.filter { $0 != "[" && $0 != "]" }
        }
        return site.server.all("ssl_certificate").compactMap(\.first).enumerated().map { index, name in
            let path = name.hasPrefix("/") ? name : folder + "/" + name
            let key = index < keys.count ? keys[index] : nil
            return CertificateFacts(
                path: path,
                key: key.map { FileFacts(lookingAt: $0.hasPrefix("/") ? $0 : folder + "/" + $0) },
                content: content(of: path, hosts))
        }
    }

    private func content(
        of path: String, _ hosts: [String]
    ) -> Result<CertificateFacts.Content, DatabaseFacts.Problem> {
        guard let bytes = contents(of: path) else {
            return .failure(.init(text: "it cannot be read: \(String(cString: strerror(errno)))"))
        }
        guard let certificate = X509Certificate(pem: bytes, hosts: hosts) else {
            return .failure(.init(text: "it holds no certificate"))
        }
        return .success(
            .init(
                notBefore: Timestamp(milliseconds: certificate.notBefore * 1000),
                notAfter: Timestamp(milliseconds: certificate.notAfter * 1000),
                missingHosts: hosts.filter { !certificate.hosts.contains($0) }))
    }
}

/// The files that a shell's pattern stands for, sorted.
private func files(matching pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
}

import Glibc
import NodesConfiguration

/// Reads the keys of agents from where the configuration says they are.
///
/// No error repeats what was read: it may be most of a key.
struct AgentKeys: Sendable {
    /// Why there is no key: a sentence's end, behind the setting's name.
    struct Problem: Error, Equatable {
        var setting: String
        var reason: String
    }

    /// A key is shorter by far; a greater file is another one.
    private static let maximumBytes = 16 << 10

    let environment: [String: String]

    func read(_ source: NodesConfiguration.Agent.KeySource) throws(Problem) -> String {
        switch source {
        case .variable(let name):
            guard let text = environment[name], !text.isEmpty else {
                throw Problem(
                    setting: "key_env",
                    reason:
                        "the variable \(name) is not set, or empty: set it for this process, or name a key_file"
                )
            }
            return try checked(text, "key_env", "the variable \(name)")
        case .file(let path):
            return try checked(String(decoding: try contents(of: path), as: UTF8.self), "key_file", path)
        }
    }

    private func checked(_ text: String, _ setting: String, _ place: String) throws(Problem) -> String {
        // Some editors begin a file with a byte order mark.
        var key =
            text.unicodeScalars.first == "\u{FEFF}" ? Substring(text.unicodeScalars.dropFirst()) : text[...]
        while key.last?.isWhitespace == true { key.removeLast() }
        // It becomes a header's value.
        guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem(
                setting: setting, reason: "\(place) does not hold one line of printable ASCII without blanks")
        }
        return String(key)
    }

    private func contents(of path: String) throws(Problem) -> [UInt8] {
        func problem(_ reason: String) -> Problem {
            Problem(setting: "key_file", reason: "\(path) \(reason)")
        }
        // Something that is no file must not keep the start waiting.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw problem("cannot be opened: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw problem("is not a file")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw problem(
                "belongs to user \(status.st_uid); expected root or the user of this process, \(geteuid())")
        }
        guard status.st_mode & 0o027 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw problem(
                "has the mode \(mode); others may read it or its group change it: chmod 640 or stricter")
        }
        var bytes = [UInt8](repeating: 0, count: Self.maximumBytes + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw problem("cannot be read: \(String(cString: strerror(errno)))") }
            if got == 0 { break }
            count += got
        }
        guard count <= Self.maximumBytes else { throw problem("has more than \(Self.maximumBytes) bytes") }
        return Array(bytes.prefix(count))
    }
}

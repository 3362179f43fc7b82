import Glibc

/// Reads files that hold secrets. No error repeats what was read.
enum SecretFile {
    /// Why a file cannot be used: a sentence's end, which begins with its path.
    struct Problem: Error, Equatable {
        var reason: String
    }

    /// The bytes of a file that only its owner, root or this process's user, may change, and nobody else read but its
    /// group.
    ///
    /// - Throws: where it is not that, or longer than `maximumBytes`.
    static func contents(of path: String, maximumBytes: Int) throws(Problem) -> [UInt8] {
        func problem(_ reason: String) -> Problem { Problem(reason: "\(path) \(reason)") }
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
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
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
        guard count <= maximumBytes else { throw problem("has more than \(maximumBytes) bytes") }
        return Array(bytes.prefix(count))
    }
}

import Glibc

/// Writes all bytes to a descriptor.
///
/// - Returns: `false` where it cannot; `errno` says why.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
        let result = bytes.withUnsafeBytes {
            write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
        }
        if result < 0 {
            guard errno == EINTR else { return false }
        } else {
            written += result
        }
    }
    return true
}

/// Ends this process at once, without running what the plugin left to be run at the end.
func endProcess(_ status: Int32) -> Never { _exit(status) }

/// A clock that never goes back, in nanoseconds.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// What an error number means.
func systemError(_ number: Int32 = errno) -> String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
}

/// The name of a signal, such as `SIGSEGV (Segmentation fault)`.
func signalName(_ number: Int32) -> String {
    let names: [Int32: String] = [
        SIGABRT: "SIGABRT", SIGALRM: "SIGALRM", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGHUP: "SIGHUP",
        SIGILL: "SIGILL", SIGINT: "SIGINT", SIGKILL: "SIGKILL", SIGPIPE: "SIGPIPE", SIGQUIT: "SIGQUIT",
        SIGSEGV: "SIGSEGV", SIGSYS: "SIGSYS", SIGTERM: "SIGTERM", SIGTRAP: "SIGTRAP", SIGUSR1: "SIGUSR1",
        SIGUSR2: "SIGUSR2", SIGXCPU: "SIGXCPU",
    ]
    let meaning = strsignal(number).map { String(cString: $0) } ?? "unknown"
    return "\(names[number] ?? "signal \(number)") (\(meaning))"
}

/// The names in a folder, without `.` and `..`.
func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
            name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

/// Reads a whole file.
///
/// - Returns: `nil` where it cannot be read, or has more bytes than that; `errno` says why.
func contents(of path: String, atMost limit: Int = 256 * 1024 * 1024) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while true {
        let count = read(file, &chunk, chunk.count)
        if count == 0 { return bytes }
        guard count > 0, bytes.count + count <= limit else { return nil }
        bytes += chunk[..<count]
    }
}

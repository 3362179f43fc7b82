import Glibc

/// Why a file or folder is not trusted: what was found, what was expected, what to do.
package struct Untrusted: Error {
    package var message: String

    init(_ message: String) { self.message = message }
}

/// A folder that nobody but root and this process's account can have changed or replaced, nor any above it.
///
/// The path is walked from `/` on open descriptors: each folder, and each symbolic link on the way, must
/// belong to root or this account, and each folder must be writable by its owner alone. A folder with the
/// sticky bit, such as `/tmp`, may be writable by all if it belongs to root: there nobody can rename or
/// remove what is another's (inode(7)), and what is reached through it is checked in its turn.
struct TrustedFolder: ~Copyable, Sendable {
    /// The path as it was given, made absolute.
    let path: String
    private let descriptor: Descriptor

    /// Walks to the folder.
    init(path: String) throws(Untrusted) {
        let absolute = path.hasPrefix("/") ? path : currentFolder() + "/" + path
        self.path = absolute
        var current = try Self.step(from: AT_FDCWD, to: "/", named: "/")
        try checkFolder(current.status(), named: "/")
        var walked = ""
        var remaining = Array(absolute.split(separator: "/").map(String.init).reversed())
        var links = 0
        while let name = remaining.popLast() {
            if name == "." { continue }
            let here = walked + "/" + name
            let next = try Self.step(from: current.number, to: name, named: here)
            let status = next.status()
            guard status.st_mode & S_IFMT == S_IFLNK else {
                try checkFolder(status, named: here)
                current = next
                walked = here
                continue
            }
            try checkOwner(status, named: here)
            links += 1
            guard links <= 32, let target = linkTarget(next) else {
                throw Untrusted("\(here) is a symbolic link that leads nowhere; name the real folder")
            }
            if target.hasPrefix("/") {
                current = try Self.step(from: AT_FDCWD, to: "/", named: "/")
                walked = ""
            }
            remaining += target.split(separator: "/").map(String.init).reversed()
        }
        let number = openat(current.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw Untrusted("\(absolute) cannot be read: \(systemError())") }
        descriptor = Descriptor(number)
    }

    private static func step(from: Int32, to name: String, named: String) throws(Untrusted) -> Descriptor {
        // O_PATH is 0x200000 on every architecture Swift runs on under Linux; the importer leaves it out.
        let number = openat(from, name, O_NOFOLLOW | O_CLOEXEC | 0x200000)
        guard number >= 0 else { throw Untrusted("\(named) cannot be opened: \(systemError())") }
        return Descriptor(number)
    }

    /// The names in the folder, sorted.
    borrowing func names() throws(Untrusted) -> [String] {
        let number = dup(descriptor.number)
        guard number >= 0, let stream = fdopendir(number) else {
            throw Untrusted("\(path) cannot be read: \(systemError())")
        }
        defer { closedir(stream) }
        rewinddir(stream)
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            names.append(name)
        }
        return names.sorted()
    }

    /// What is known of a file without opening it.
    ///
    /// - Returns: `nil` where there is none of that name.
    borrowing func stamp(of name: String) -> FileStamp? {
        var status = stat()
        guard fstatat(descriptor.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        return FileStamp(status)
    }

    /// Opens a regular file of this folder that nobody else can write.
    ///
    /// - Returns: `nil` where there is none of that name.
    borrowing func open(_ name: String) throws(Untrusted) -> Descriptor? {
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        let number = openat(descriptor.number, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        let here = path + "/" + name
        guard number >= 0 else {
            switch errno {
            case ENOENT: return nil
            case ELOOP: throw Untrusted("\(here) is a symbolic link; put the file itself there")
            default: throw Untrusted("\(here) cannot be opened: \(systemError())")
            }
        }
        let file = Descriptor(number)
        let status = file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { throw Untrusted("\(here) is not a regular file") }
        try checkOwner(status, named: here)
        guard status.st_mode & 0o022 == 0 else {
            throw Untrusted(
                "\(here) is writable by others (mode \(mode(status)), expected no write for group and "
                    + "others): chmod go-w it after making sure that it is what you installed")
        }
        return file
    }
}

/// Changes whenever a file does, its owner and mode included: what a name leads to, and when that last changed.
struct FileStamp: Sendable, Equatable {
    private let numbers: [Int64]

    init(_ status: stat) {
        numbers = [
            Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino),
            Int64(status.st_size), Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec),
            Int64(status.st_ctim.tv_sec), Int64(status.st_ctim.tv_nsec),
        ]
    }

    /// Whether both are of one file, whatever has become of it.
    func isSameFile(as other: FileStamp) -> Bool { numbers[..<2] == other.numbers[..<2] }

    /// Whether the file was not written between the two.
    func hasSameContents(as other: FileStamp) -> Bool { numbers[2..<5] == other.numbers[2..<5] }
}

private func checkFolder(_ status: stat, named path: String) throws(Untrusted) {
    guard status.st_mode & S_IFMT == S_IFDIR else { throw Untrusted("\(path) is not a folder") }
    try checkOwner(status, named: path)
    let isSticky = status.st_mode & S_ISVTX != 0 && status.st_uid == 0
    guard status.st_mode & 0o022 == 0 || isSticky else {
        throw Untrusted(
            "the folder \(path) is writable by others (mode \(mode(status)), expected no write for group "
                + "and others): chmod go-w it, or keep the channels elsewhere")
    }
}

/// Throws where the file belongs to anybody but root and this account.
func checkOwner(_ status: stat, named path: String) throws(Untrusted) {
    guard status.st_uid == 0 || status.st_uid == geteuid() else {
        throw Untrusted(
            "\(path) belongs to user \(status.st_uid), expected root or user \(geteuid()), as which this "
                + "process runs: chown it after making sure that it is what you installed")
    }
}

private func mode(_ status: stat) -> String {
    let digits = String(status.st_mode & 0o7777, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}

private func linkTarget(_ link: borrowing Descriptor) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlinkat(link.number, "", &buffer, buffer.count)
    guard count > 0, count < buffer.count else { return nil }
    return String(validating: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
}

private func currentFolder() -> String {
    guard let path = getcwd(nil, 0) else { return "" }
    defer { free(path) }
    return String(cString: path)
}

/// What the last failed system call says.
func systemError() -> String { strerror(errno).map { String(cString: $0) } ?? "unknown error" }

import Glibc

/// What a look at a path came to, without reading what is there.
struct FileFacts: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case file, folder, socket, other
        /// Nothing is there, or it could not be looked at: what the system says.
        case unreachable(String)
    }

    var path: String
    var kind: Kind
    var owner: UInt32 = 0
    var group: UInt32 = 0
    /// The permission bits.
    var mode: UInt32 = 0
    /// Bytes.
    var size = 0

    /// The permission bits as people write them: `0640`.
    var modeText: String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Whether anybody but the owner may write.
    var isWritableByOthers: Bool { mode & 0o022 != 0 }
    /// Whether accounts that are neither the owner nor in the group may read.
    var isReadableByAll: Bool { mode & 0o004 != 0 }
}

extension FileFacts {
    /// Looks at a path; symbolic links are followed.
    init(lookingAt path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            self.init(path: path, kind: .unreachable(String(cString: strerror(errno))))
            return
        }
        let kind: Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFSOCK: .socket
            default: .other
            }
        self.init(
            path: path, kind: kind, owner: status.st_uid, group: status.st_gid, mode: status.st_mode & 0o7777,
            size: Int(status.st_size))
    }
}

/// An account of the operating system, with the groups it is in.
struct AccountFacts: Equatable, Sendable {
    var name: String
    var user: UInt32
    var groups: [UInt32]

    /// Whether the account may do to a file what the bit stands for: 4 to read, 2 to write.
    func may(_ bit: UInt32, _ file: FileFacts) -> Bool {
        if user == 0 { return true }
        if user == file.owner { return file.mode & (bit << 6) != 0 }
        if groups.contains(file.group) { return file.mode & (bit << 3) != 0 }
        return file.mode & bit != 0
    }
}

extension AccountFacts {
    /// An account by its number, as the system knows it.
    init(user: UInt32) {
        let record = Self.record { getpwuid_r(user, $0, $1, $2, $3) }
        self.init(user: user, record: record)
    }

    /// An account by its name.
    ///
    /// - Returns: `nil` where there is none of that name.
    init?(name: String) {
        guard let record = Self.record({ getpwnam_r(name, $0, $1, $2, $3) }) else { return nil }
        self.init(user: record.user, record: record)
    }

    private init(user: UInt32, record: (name: String, user: UInt32, group: UInt32)?) {
        guard let record else {
            self.init(name: "user \(user)", user: user, groups: [])
            return
        }
        var count: Int32 = 256
        var groups = [gid_t](repeating: 0, count: Int(count))
        if getgrouplist(record.name, record.group, &groups, &count) < 0 {
            groups = [record.group]
            count = 1
        }
        self.init(name: record.name, user: user, groups: Array(groups.prefix(Int(count))))
    }

    private static func record(
        _ find: (
            UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
        ) -> Int32
    ) -> (name: String, user: UInt32, group: UInt32)? {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16384)
        return buffer.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, find(&record, base, buffer.count, &found) == 0, found != nil,
                let name = record.pw_name
            else { return nil }
            return (String(cString: name), record.pw_uid, record.pw_gid)
        }
    }

    /// Goes on as this account, where this process is root's; nobody else can.
    ///
    /// Call it before there are threads that need root: it holds for all of them.
    func become() -> Bool {
        if user == geteuid() { return true }
        guard geteuid() == 0, let group = groups.first else { return false }
        return initgroups(name, group) == 0 && setegid(group) == 0 && seteuid(user) == 0
    }
}

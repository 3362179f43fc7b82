import Cryptography
import DeviceClient
import Glibc
import PairingCore

/// The file that makes the device the same device after a restart: its credential and its progress.
///
/// Only its owner may read it, and it is replaced as a whole, so that a crash leaves the old or the new one.
struct DeviceStateFile {
    /// What is in the file.
    struct Contents {
        var channel: ChannelID
        var senderID: SenderID
        var credential: DeviceCredential
        var progress = DeviceMachine.Progress()
    }

    /// The greatest file that is read, in bytes.
    private static let maximumSize = 65536

    let path: String

    /// Reads the file.
    ///
    /// - Returns: `nil` where there is none.
    /// - Throws: ``CommandFailure`` where it cannot be read, can be read by others, or is not such a file.
    func load() throws(CommandFailure) -> Contents? {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("cannot be opened", errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined", errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.maximumSize else {
            throw CommandFailure(.refused, "\(path) is not a device's state file; give another --state.")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw CommandFailure(
                .refused, "\(path) holds a secret that others may read; run chmod 600 on it and start again.")
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.maximumSize) { buffer, count in
            while count < Self.maximumSize {
                let result = read(descriptor, buffer.baseAddress.map { $0 + count }, Self.maximumSize - count)
                if result < 0, errno == EINTR { continue }
                guard result > 0 else { break }
                count += result
            }
        }
        guard let contents = Contents(bytes) else {
            throw CommandFailure(
                .refused,
                "\(path) is not a device's state file; give another --state, or remove it to begin anew.")
        }
        return contents
    }

    /// Replaces the file; when this returns, the new one survives a crash.
    ///
    /// - Throws: ``CommandFailure`` where it cannot be written; the old file is then unchanged.
    func save(_ contents: Contents) throws(CommandFailure) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let temporary = "\(path).\(getpid()).new"
        // Left by a process of the same number that crashed; nobody else uses the name.
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be written", errno) }
        let written = writeAll(descriptor, Array((contents.json.text + "\n").utf8)) && fsync(descriptor) == 0
        let problem = errno
        close(descriptor)
        guard written, rename(temporary, path) == 0 else {
            let problem = written ? errno : problem
            unlink(temporary)
            throw failure("cannot be written", problem)
        }
        let folderDescriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folderDescriptor >= 0 else { return }
        // Not every file system can; the rename has happened either way.
        fsync(folderDescriptor)
        close(folderDescriptor)
    }

    private func failure(_ what: String, _ error: Int32) -> CommandFailure {
        CommandFailure(.failure, "\(path) \(what): \(String(cString: strerror(error))).")
    }
}

extension DeviceStateFile.Contents {
    /// - Returns: `nil` where the bytes are not such a file's.
    fileprivate init?(_ bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes), value["version"] == .integer(1),
            let channel = value["channel"]?.string.flatMap(ChannelID.init),
            let senderID = value["senderId"]?.string.flatMap(SenderID.init),
            case .bool(let hasAsked) = value["hasAsked"],
            case .integer(let lastMessage) = value["lastMessage"]
        else { return nil }
        if let key = value["key"]?.string.flatMap({ Base64URL.decode($0, count: 32) })
            .flatMap(Ed25519PrivateKey.init(rawRepresentation:))
        {
            credential = .key(key)
        } else if let token = value["token"]?.string.flatMap(DeviceToken.init) {
            credential = .token(token)
        } else {
            return nil
        }
        self.channel = channel
        self.senderID = senderID
        progress = DeviceMachine.Progress(hasAsked: hasAsked, lastMessage: lastMessage)
    }

    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = [
            "version": .integer(1), "channel": .string(channel.text), "senderId": .string(senderID.text),
            "hasAsked": .bool(progress.hasAsked), "lastMessage": .integer(progress.lastMessage),
        ]
        switch credential {
        case .key(let key): members["key"] = .string(Base64URL.encode(key.rawRepresentation))
        case .token(let token): members["token"] = .string(token.text)
        }
        return .object(members)
    }
}

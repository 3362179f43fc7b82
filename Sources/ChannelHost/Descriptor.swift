import Glibc

/// An open file, closed when it goes out of use.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit { close(number) }

    /// Leaves the file open for the rest of the process's life.
    consuming func keepOpen() { discard self }

    borrowing func status() -> stat {
        var status = stat()
        fstat(number, &status)
        return status
    }

    /// Reads the whole file from its beginning.
    ///
    /// - Returns: `nil` where reading fails, or there are more bytes than that.
    borrowing func contents(atMost limit: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        let size = Int(status().st_size)
        guard size >= 0, size <= limit else { return nil }
        while bytes.count <= limit {
            let offset = bytes.count
            var failed = false
            let chunk = [UInt8](unsafeUninitializedCapacity: max(size - offset, 4096)) { buffer, count in
                let got = pread(number, buffer.baseAddress, buffer.count, off_t(offset))
                failed = got < 0
                count = max(0, got)
            }
            if failed { return nil }
            if chunk.isEmpty { return bytes }
            bytes += chunk
        }
        return nil
    }
}

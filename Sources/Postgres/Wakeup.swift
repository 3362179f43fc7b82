import Glibc

/// Wakes a thread that waits in `poll`. May be signalled from any thread, before, during and after the wait.
final class Wakeup: Sendable {
    /// Readable from `signal` until `clear`.
    let descriptor: Int32
    private let writer: Int32

    /// - Throws: `PostgresError` with code `connectionFailed` when the process has no file descriptor left.
    init() throws(PostgresError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw PostgresError(.connectionFailed, summary: "pipe failed with errno \(errno)")
        }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        descriptor = ends[0]
        writer = ends[1]
    }

    deinit {
        close(descriptor)
        close(writer)
    }

    func signal() {
        var byte: UInt8 = 0
        // Fails only when the pipe is full, and then it is readable anyway.
        _ = write(writer, &byte, 1)
    }

    func clear() {
        var bytes: (UInt64, UInt64) = (0, 0)
        _ = read(descriptor, &bytes, MemoryLayout.size(ofValue: bytes))
    }
}

/// What two descriptors are ready for.
struct Readiness {
    let socketReadable: Bool
    let woken: Bool

    /// Waits until the socket is ready, somebody signals or the deadline passes; `nil` then.
    ///
    /// - Parameter socket: may be negative, which is never ready.
    static func wait(
        socket: Int32, alsoWritable: Bool = false, wakeup: Wakeup, until deadline: ContinuousClock.Instant?
    ) -> Readiness? {
        var descriptors = [
            pollfd(fd: socket, events: Int16(POLLIN) | (alsoWritable ? Int16(POLLOUT) : 0), revents: 0),
            pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let timeout = deadline.map { milliseconds(until: $0) } ?? -1
            let ready = poll(&descriptors, nfds_t(descriptors.count), timeout)
            if ready > 0 {
                let woken = descriptors[1].revents != 0
                if woken { wakeup.clear() }
                return Readiness(socketReadable: descriptors[0].revents & ~Int16(POLLOUT) != 0, woken: woken)
            }
            if let deadline, deadline <= .now { return nil }
        }
    }

    /// Rounded up, since a wait rounded down would spin at its end.
    private static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
        let left = deadline - .now
        return left <= .zero ? 0 : left.milliseconds &+ 1
    }
}

import Glibc

/// A POSIX thread of one's own, for calls that block: those must not be made on Swift's cooperative threads.
///
/// It takes none of the process's signals: those are for the main program.
public struct OSThread {
    private let thread: pthread_t

    private init?(named name: String, isDetached: Bool, _ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(
            Start {
                Self.nameCurrent(name)
                body()
            })
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        if isDetached { pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)) }
        defer { pthread_attr_destroy(&attributes) }
        var signals = sigset_t()
        var previous = sigset_t()
        sigfillset(&signals)
        // A fault of the thread itself can't wait; blocked, it would end the process without a trace.
        for fault in [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP] {
            sigdelset(&signals, fault)
        }
        pthread_sigmask(SIG_SETMASK, &signals, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        var thread = pthread_t()
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                // The argument is the one passed below.
                if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            return nil
        }
        self.thread = thread
    }

    /// Starts a thread that nobody waits for.
    ///
    /// - Parameter name: for whoever looks at the process; Linux keeps 15 bytes.
    /// - Returns: whether the system had a thread to give.
    public static func start(named name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        OSThread(named: name, isDetached: true, body) != nil
    }

    /// Starts a thread that must be waited for with ``join()``, once.
    ///
    /// - Parameter name: for whoever looks at the process; Linux keeps 15 bytes.
    /// - Returns: `nil` where the system grants none.
    public init?(named name: String, _ body: @escaping @Sendable () -> Void) {
        self.init(named: name, isDetached: false, body)
    }

    /// Blocks until the thread has ended.
    public func join() { pthread_join(thread, nil) }

    private static func nameCurrent(_ name: String) {
        let file = Glibc.open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        let bytes = Array(name.utf8.prefix(15))
        _ = Glibc.write(file, bytes, bytes.count)
    }

    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

import Glibc
import Synchronization

/// Tells, when the plugin touches memory that it may not, what it was, before the process dies of it.
///
/// The signal handler reads plain words that were written before; it allocates, locks and calls nothing but
/// `write` and `signal`.
enum FaultWatch {
    private static let capacity = 64

    /// What the handler reads.
    private struct Board {
        var line: Int32 = -1
        /// Four words a slice: start, end, live from, live to.
        let slices: UnsafeMutablePointer<UInt>
        var count = 0
    }

    /// `nonisolated(unsafe)`: the pointer never changes and its memory is never freed. Words are written
    /// under `lock` or by the slice's own thread; the handler may see an old one, which costs the report a
    /// sentence.
    private nonisolated(unsafe) static let board: UnsafeMutablePointer<Board> = {
        let board = UnsafeMutablePointer<Board>.allocate(capacity: 1)
        let slices = UnsafeMutablePointer<UInt>.allocate(capacity: 4 * capacity)
        slices.initialize(repeating: 0, count: 4 * capacity)
        board.initialize(to: Board(slices: slices))
        return board
    }()
    private static let lock = Mutex(())

    /// The words of one slice.
    struct LiveRange: @unchecked Sendable {
        // Its words are never freed; one thread at a time writes them.
        fileprivate let words: UnsafeMutablePointer<UInt>?

        func set(from start: UInt, to end: UInt) {
            words?[2] = start
            words?[3] = end
        }
    }

    static func add(start: UInt, size: UInt) -> LiveRange {
        lock.withLock { _ in
            guard board.pointee.count < capacity else { return LiveRange(words: nil) }
            let words = board.pointee.slices + 4 * board.pointee.count
            words[0] = start
            words[1] = start + size
            board.pointee.count += 1
            return LiveRange(words: words)
        }
    }

    /// Takes over what the process does when memory is touched that may not be.
    static func start(line: Int32) {
        board.pointee.line = line
        // A stack of its own, or a plugin that has used up the thread's dies without a word; 64 KiB are kept
        // for good.
        var stack = stack_t()
        stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: 65_536, alignment: 16)
        stack.ss_size = 65_536
        sigaltstack(&stack, nil)
        var action = sigaction()
        action.sa_flags = SA_SIGINFO | SA_ONSTACK
        action.__sigaction_handler.sa_sigaction = { number, information, _ in
            if let address = information?.pointee._sifields._sigfault.si_addr {
                FaultWatch.tell(UInt(bitPattern: address))
            }
            // The instruction is run again when this returns, and then nobody catches it.
            signal(number, SIG_DFL)
        }
        sigaction(SIGSEGV, &action, nil)
        sigaction(SIGBUS, &action, nil)
    }

    private static func tell(_ address: UInt) {
        let known = board
        let words = known.pointee.slices
        var index = 0
        while index < known.pointee.count {
            let slice = words + 4 * index
            index += 1
            guard address >= slice[0], address < slice[1] else { continue }
            let isLive = address >= slice[2] && address < slice[3]
            return write(isLive ? #"{"fault":"beyond"}"# : #"{"fault":"kept"}"#)
        }
    }

    private static func write(_ text: StaticString) {
        _ = Glibc.write(board.pointee.line, text.utf8Start, text.utf8CodeUnitCount)
        _ = Glibc.write(board.pointee.line, "\n", 1)
    }
}

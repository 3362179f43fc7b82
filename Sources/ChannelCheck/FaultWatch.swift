import Glibc
import Synchronization

/// Tells, when the process is about to die of a signal, where in the library that was, and where memory was touched
/// that may not be, what it was.
///
/// The signal handler reads plain words that were written before; it allocates and locks nothing, and calls nothing
/// but `write`, `sigaction`, `raise` and `backtrace`, which was called once before, so that it has loaded what it
/// needs. Where it hangs all the same, the parent ends the process.
enum FaultWatch {
    private static let capacity = 64

    /// What the handler reads.
    private struct Board {
        var line: Int32 = -1
        /// Four words a slice: start, end, live from, live to.
        let slices: UnsafeMutablePointer<UInt>
        var count = 0
        /// Where the library's code is.
        var libraryStart: UInt = 0
        var libraryEnd: UInt = 0
        let frames: UnsafeMutablePointer<UnsafeMutableRawPointer?>
        let text: UnsafeMutablePointer<UInt8>
        /// What the process did with each signal before, by its number.
        let before: UnsafeMutablePointer<sigaction>
    }

    private static let maximumFrames: Int32 = 64
    /// The signals that a fault of the code brings about.
    private static let signals = [SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP]

    private typealias Backtrace =
        @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>?, Int32) -> Int32

    /// glibc's `backtrace`, which its module for Swift leaves out.
    private static let backtrace: Backtrace? = dlsym(nil, "backtrace").map {
        unsafeBitCast($0, to: Backtrace.self)
    }

    /// `nonisolated(unsafe)`: the pointer never changes and its memory is never freed. Words are written
    /// under `lock` or by the slice's own thread; the handler may see an old one, which costs the report a
    /// sentence.
    private nonisolated(unsafe) static let board: UnsafeMutablePointer<Board> = {
        let board = UnsafeMutablePointer<Board>.allocate(capacity: 1)
        let slices = UnsafeMutablePointer<UInt>.allocate(capacity: 4 * capacity)
        slices.initialize(repeating: 0, count: 4 * capacity)
        let frames = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: Int(maximumFrames))
        frames.initialize(repeating: nil, count: Int(maximumFrames))
        let text = UnsafeMutablePointer<UInt8>.allocate(capacity: 64)
        text.initialize(repeating: 0, count: 64)
        let before = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
        before.initialize(repeating: sigaction(), count: 65)
        board.initialize(to: Board(slices: slices, frames: frames, text: text, before: before))
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
        _ = backtrace?(board.pointee.frames, maximumFrames)
        var action = sigaction()
        action.sa_flags = SA_SIGINFO | SA_ONSTACK
        action.__sigaction_handler.sa_sigaction = { number, information, _ in
            if number == SIGSEGV || number == SIGBUS,
                let address = information?.pointee._sifields._sigfault.si_addr
            {
                FaultWatch.tell(UInt(bitPattern: address))
            }
            FaultWatch.tellPlace()
            // What was there before has its turn: the system's default, or a sanitizer's report.
            sigaction(number, FaultWatch.board.pointee.before + Int(number), nil)
            // The instruction of these two is run again when this returns.
            if number != SIGSEGV && number != SIGBUS { raise(number) }
        }
        for number in signals { sigaction(number, &action, board.pointee.before + Int(number)) }
    }

    /// Says where the code of the library is, which is what a crash is told by.
    static func watch(libraryAt path: String) {
        // A line is `start-end mode offset device inode path`.
        let maps = String(decoding: contents(of: "/proc/self/maps") ?? [], as: UTF8.self)
        guard let real = realpath(path, nil) else { return }
        defer { free(real) }
        let name = String(cString: real)
        let ranges = maps.split(separator: "\n").filter { $0.hasSuffix(" " + name) }.compactMap { line in
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            return ends.count == 2 ? (ends[0], ends[1]) : nil
        }
        guard let start = ranges.map(\.0).min(), let end = ranges.map(\.1).max() else { return }
        board.pointee.libraryStart = start
        board.pointee.libraryEnd = end
    }

    /// Tells the innermost place in the library that this thread is at, in bytes from the library's start.
    private static func tellPlace() {
        guard let backtrace, board.pointee.libraryEnd > 0 else { return }
        let frames = board.pointee.frames
        let count = Int(backtrace(frames, maximumFrames))
        var index = 0
        while index < count {
            let address = UInt(bitPattern: frames[index])
            index += 1
            guard address > board.pointee.libraryStart, address < board.pointee.libraryEnd else { continue }
            // A frame is where its call returns to: the byte before belongs to the call.
            return write(place: address - board.pointee.libraryStart - 1)
        }
    }

    private static func write(place: UInt) {
        let text = board.pointee.text
        var (digits, rest) = (0, place)
        repeat {
            digits += 1
            rest /= 10
        } while rest > 0
        rest = place
        var index = digits
        while index > 0 {
            index -= 1
            text[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        text[digits] = UInt8(ascii: "}")
        text[digits + 1] = UInt8(ascii: "\n")
        let head: StaticString = #"{"place":"#
        _ = Glibc.write(board.pointee.line, head.utf8Start, head.utf8CodeUnitCount)
        _ = Glibc.write(board.pointee.line, text, digits + 2)
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

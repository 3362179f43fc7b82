import CGoClawChannel
import Glibc
import Synchronization

/// How memory is lent to the plugin.
enum LendingStyle: Sendable {
    /// Each text and record ends right before a page that cannot be touched, and is gone after the call.
    case guarded
    /// The same; a record states a greater size and has bytes behind it, as a newer host's would.
    case newer
    /// Overwritten after the call, and cheap: for measuring.
    case plain
}

/// Lends texts and records to the plugin for one call at a time, on one thread.
final class Lender {
    /// The bytes that stand behind a newer host's record.
    private static let newerBytes = 64
    private static let plainCapacity = 4 << 20

    private let style: LendingStyle
    private let slice: MemorySlice
    private let plain: UnsafeMutableRawBufferPointer
    private var used = 0
    private var empties = 0

    init(_ style: LendingStyle) {
        self.style = style
        slice = MemorySlice.take()
        plain = .allocate(byteCount: style == .plain ? Self.plainCapacity : 16, alignment: 16)
    }

    deinit {
        plain.deallocate()
        slice.giveBack()
    }

    /// Lends a text.
    func text(_ text: String) -> goclaw_text { self.text(Array(text.utf8)) }

    /// Lends bytes as a text.
    func text(_ bytes: [UInt8]) -> goclaw_text {
        guard !bytes.isEmpty else {
            // A text of no bytes may have a pointer or none; this one leads where nothing can be read.
            empties += 1
            let nowhere = UnsafeRawPointer(slice.start).assumingMemoryBound(to: CChar.self)
            return goclaw_text(ptr: empties % 2 == 0 ? nil : nowhere, len: 0)
        }
        let memory = take(bytes.count)
        memory.copyBytes(from: bytes)
        return goclaw_text(
            ptr: UnsafeRawPointer(memory.baseAddress)?.assumingMemoryBound(to: CChar.self), len: bytes.count)
    }

    /// Lends a record, whose first member is its size, which is set here.
    func record<Record: BitwiseCopyable>(_ record: Record) -> UnsafeMutablePointer<Record> {
        let size = MemoryLayout<Record>.size
        let behind = style == .newer ? Self.newerBytes : 0
        let memory = take(size + behind)
        // A region ends at a page's end and a record's size is a multiple of its alignment.
        let pointer = memory.baseAddress?.bindMemory(to: Record.self, capacity: 1)
        guard let pointer else { preconditionFailure("a region has a start") }
        pointer.initialize(to: record)
        for offset in size..<(size + behind) { memory[offset] = 0xFF }
        UnsafeMutableRawPointer(pointer).storeBytes(of: UInt32(size + behind), as: UInt32.self)
        return pointer
    }

    /// Lends the word in which a session's scratch state is kept.
    func slot(_ value: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<UnsafeMutableRawPointer?> {
        let memory = take(MemoryLayout<UnsafeMutableRawPointer?>.size)
        guard
            let pointer = memory.baseAddress?.bindMemory(to: UnsafeMutableRawPointer?.self, capacity: 1)
        else { preconditionFailure("a region has a start") }
        pointer.initialize(to: value)
        return pointer
    }

    /// Takes everything back: what was lent since the last time is gone, or overwritten.
    func takeBack() {
        if style == .plain {
            for offset in 0..<used { plain[offset] = 0xDB }
            used = 0
        } else {
            slice.revoke()
        }
    }

    private func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
        guard style == .plain else { return slice.take(count) }
        let aligned = (count + 15) / 16 * 16
        precondition(used + aligned <= plain.count, "what is measured is small")
        defer { used += aligned }
        return UnsafeMutableRawBufferPointer(rebasing: plain[used..<(used + count)])
    }
}

/// A part of the address space of which one thread lends.
///
/// `@unchecked Sendable`: one thread at a time uses a slice, whoever took it; addresses are never given back
/// to the system.
final class MemorySlice: @unchecked Sendable {
    static let size = 256 << 20
    private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    private static let free = Mutex<[MemorySlice]>([])

    let start: UnsafeMutableRawPointer
    private let live: FaultWatch.LiveRange
    /// Offsets: where the regions of this call begin, and where the next one will.
    private var first = MemorySlice.page
    private var next = MemorySlice.page

    /// Takes a slice that nobody uses.
    static func take() -> MemorySlice { free.withLock { $0.popLast() } ?? MemorySlice() }

    func giveBack() {
        revoke()
        Self.free.withLock { $0.append(self) }
    }

    private init() {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        // Address space alone: no page of it has memory yet.
        let mapped = mmap(nil, Self.size, PROT_NONE, flags, -1, 0)
        guard let start = mapped, mapped != MAP_FAILED else {
            preconditionFailure("no address space for a slice: raise the limit on it (ulimit -v)")
        }
        self.start = start
        live = FaultWatch.add(start: UInt(bitPattern: start), size: UInt(Self.size))
    }

    /// Lends a region whose last byte is the last one before a page that cannot be touched.
    func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
        let pages = (count + Self.page - 1) / Self.page * Self.page
        if next + pages + Self.page > Self.size {
            precondition(first == next, "a call's texts fit into a slice")
            (first, next) = (Self.page, Self.page)
        }
        let region = start + next
        guard mprotect(region, pages, PROT_READ | PROT_WRITE) == 0 else {
            preconditionFailure("no memory to lend: \(systemError())")
        }
        next += pages + Self.page
        live.set(from: UInt(bitPattern: start + first), to: UInt(bitPattern: start + next))
        return UnsafeMutableRawBufferPointer(start: region + (pages - count), count: count)
    }

    /// Takes the regions of this call back; they lead nowhere from now on.
    func revoke() {
        guard next > first else { return }
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
        _ = mmap(start + first, next - first, PROT_NONE, flags, -1, 0)
        first = next
        live.set(from: 0, to: 0)
    }
}

/// Memory that is lent for good, such as a table: its end is the last byte before a page that cannot be
/// touched, and it is never freed.
func lendForGood(_ count: Int) -> UnsafeMutableRawBufferPointer {
    TableMemory.slice.withLock { $0.take(count) }
}

private enum TableMemory {
    /// Never revoked.
    static let slice = Mutex(MemorySlice.take())
}

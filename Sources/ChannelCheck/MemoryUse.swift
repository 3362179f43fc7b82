import CGlibcMalloc
import Glibc

/// How much memory this process uses.
struct MemoryUse {
    /// What malloc gave out, in bytes.
    let heap: Int
    /// The address space that is not malloc's, in bytes: libraries, stacks, and what was mapped.
    let mapped: Int

    /// Looks at this process.
    init() {
        let information = mallinfo2()
        heap = Int(information.uordblks) + Int(information.hblkhd)
        // The first number is the size of the address space, in pages.
        let sizes = contents(of: "/proc/self/statm", atMost: 4096) ?? []
        let pages = Int(String(decoding: sizes.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) ?? 0
        mapped = pages * sysconf(Int32(_SC_PAGESIZE)) - Int(information.arena) - Int(information.hblkhd)
    }
}

/// The symbols that a shared library exports, read from its file (ELF, 64 bits, little-endian) without
/// loading it.
struct ELFSymbols {
    /// The names of what is defined and visible, sorted.
    let exported: [String]

    /// What linkers add by themselves.
    private static let linkers: Set<String> = ["_init", "_fini", "_edata", "_end", "__bss_start"]

    /// - Returns: `nil` where the bytes are no such library.
    init?(_ bytes: [UInt8]) {
        let file = Reader(bytes: bytes)
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]),
            let sections = file.number(40, 8), let entrySize = file.number(58, 2), entrySize >= 64,
            let count = file.number(60, 2)
        else { return nil }
        let starts = (0..<count).map { sections + $0 * entrySize }
        // SHT_DYNSYM is 11.
        guard let table = starts.first(where: { file.number($0 + 4, 4) == 11 }),
            let start = file.number(table + 24, 8), let size = file.number(table + 32, 8),
            let link = file.number(table + 40, 4), starts.indices.contains(link),
            let names = file.number(starts[link] + 24, 8)
        else { return nil }
        var exported: Set<String> = []
        for symbol in stride(from: start, to: start + min(size, bytes.count), by: 24) {
            guard let name = file.number(symbol, 4), let info = file.number(symbol + 4, 1),
                let other = file.number(symbol + 5, 1), let section = file.number(symbol + 6, 2)
            else { return nil }
            // Global or weak, of default or protected visibility, and defined here.
            let isVisible = [1, 2, 10].contains(info >> 4) && [0, 3].contains(other & 3) && section != 0
            if isVisible, let text = file.text(names + name) { exported.insert(text) }
        }
        self.exported = exported.subtracting(Self.linkers).sorted()
    }

    private struct Reader {
        let bytes: [UInt8]

        func number(_ offset: Int, _ size: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - size else { return nil }
            let value = (0..<size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[offset + $1]) }
            return value < 1 << 40 ? Int(value) : nil
        }

        func text(_ offset: Int) -> String? {
            guard bytes.indices.contains(offset), let end = bytes[offset...].firstIndex(of: 0) else {
                return nil
            }
            return String(decoding: bytes[offset..<end], as: UTF8.self)
        }
    }
}

/// A QR code (ISO/IEC 18004) of a text: byte mode, error correction level M, up to 666 bytes.
public struct QRCode: Sendable, Equatable {
    /// Modules a side, without the quiet zone of four that belongs around them.
    public let size: Int
    /// Whether each module is dark, row by row.
    public private(set) var isDark: [Bool]
    private var isFunction: [Bool]

    /// For each version up to 20, level M: codewords for error correction in a block, and blocks.
    private static let blocks: [(correction: Int, count: Int)] = [
        (10, 1), (16, 1), (26, 1), (18, 2), (24, 2), (16, 4), (18, 4), (22, 4), (22, 5), (26, 5), (30, 5),
        (22, 8),
        (22, 9), (24, 9), (24, 10), (28, 10), (28, 11), (26, 13), (26, 14), (26, 16),
    ]

    /// Makes the smallest code that holds the text.
    ///
    /// - Returns: `nil` where it is too long.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard
            let version = (1...Self.blocks.count).first(where: {
                12 + ($0 < 10 ? 0 : 8) + bytes.count * 8 <= Self.dataCodewords($0) * 8
            })
        else { return nil }
        size = 17 + 4 * version
        isDark = [Bool](repeating: false, count: size * size)
        isFunction = isDark
        drawFunctionPatterns(version)
        draw(Self.interleaved(Self.data(bytes, version), version))
        let plain = self
        var best = (penalty: Int.max, isDark: isDark)
        for mask in 0..<8 {
            var masked = plain
            masked.apply(mask)
            masked.drawFormat(mask)
            let penalty = masked.penalty
            if penalty < best.penalty { best = (penalty, masked.isDark) }
        }
        isDark = best.isDark
    }

    /// The dark modules as the data of an SVG path, a unit a module, each row's runs in one line.
    public var path: String {
        var path = ""
        for y in 0..<size {
            var x = 0
            while x < size {
                guard self[x, y] else {
                    x += 1
                    continue
                }
                let start = x
                while x < size, self[x, y] { x += 1 }
                path += "M\(start) \(y)h\(x - start)v1H\(start)z"
            }
        }
        return path
    }

    /// Whether the module is dark.
    public subscript(x: Int, y: Int) -> Bool { isDark[y * size + x] }

    // MARK: Codewords

    /// The modules that hold codewords, and bits that are left over.
    private static func rawModules(_ version: Int) -> Int {
        var modules = (16 * version + 128) * version + 64
        if version >= 2 {
            let alignments = version / 7 + 2
            modules -= (25 * alignments - 10) * alignments - 55
            if version >= 7 { modules -= 36 }
        }
        return modules
    }

    private static func dataCodewords(_ version: Int) -> Int {
        let (correction, count) = blocks[version - 1]
        return rawModules(version) / 8 - correction * count
    }

    private static func data(_ bytes: [UInt8], _ version: Int) -> [UInt8] {
        var bits: [Bool] = []
        func append(_ value: Int, _ count: Int) {
            for bit in (0..<count).reversed() { bits.append(value >> bit & 1 == 1) }
        }
        append(0b0100, 4)
        append(bytes.count, version < 10 ? 8 : 16)
        for byte in bytes { append(Int(byte), 8) }
        let capacity = dataCodewords(version)
        append(0, min(4, capacity * 8 - bits.count))
        append(0, (8 - bits.count % 8) % 8)
        var words = stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<start + 8].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
        }
        var pad: UInt8 = 0xEC
        while words.count < capacity {
            words.append(pad)
            pad ^= 0xEC ^ 0x11
        }
        return words
    }

    /// The data in blocks, each with its error correction, taken in turns.
    private static func interleaved(_ data: [UInt8], _ version: Int) -> [UInt8] {
        let (correction, count) = blocks[version - 1]
        let shorter = data.count / count
        let longerBlocks = data.count % count
        var rest = data[...]
        let parts = (0..<count).map { number in
            let part = rest.prefix(number < count - longerBlocks ? shorter : shorter + 1)
            rest = rest.dropFirst(part.count)
            return Array(part)
        }
        let divisor = ReedSolomon.divisor(degree: correction)
        let corrections = parts.map { ReedSolomon.remainder(of: $0, divisor) }
        var words: [UInt8] = []
        for index in 0...shorter { words += parts.compactMap { index < $0.count ? $0[index] : nil } }
        for index in 0..<correction { words += corrections.map { $0[index] } }
        return words
    }

    // MARK: Drawing

    private mutating func set(_ x: Int, _ y: Int, _ dark: Bool) {
        isDark[y * size + x] = dark
        isFunction[y * size + x] = true
    }

    private mutating func drawFunctionPatterns(_ version: Int) {
        for index in 0..<size {
            set(6, index, index % 2 == 0)
            set(index, 6, index % 2 == 0)
        }
        for (x, y) in [(3, 3), (size - 4, 3), (3, size - 4)] { drawFinder(x, y) }
        let places = alignments(version)
        for (row, y) in places.enumerated() {
            for (column, x) in places.enumerated() {
                let last = places.count - 1
                // Three corners belong to the finders.
                if (row, column) == (0, 0) || (row, column) == (0, last) || (row, column) == (last, 0) {
                    continue
                }
                for dy in -2...2 {
                    for dx in -2...2 { set(x + dx, y + dy, max(abs(dx), abs(dy)) != 1) }
                }
            }
        }
        drawFormat(0)
        drawVersion(version)
    }

    private mutating func drawFinder(_ x: Int, _ y: Int) {
        for dy in -4...4 {
            for dx in -4...4 {
                let distance = max(abs(dx), abs(dy))
                guard (0..<size).contains(x + dx), (0..<size).contains(y + dy) else { continue }
                set(x + dx, y + dy, distance != 2 && distance != 4)
            }
        }
    }

    private func alignments(_ version: Int) -> [Int] {
        guard version > 1 else { return [] }
        let count = version / 7 + 2
        let step = (version * 4 + count * 2 + 1) / (count * 2 - 2) * 2
        return [6] + (0..<count - 1).reversed().map { size - 7 - $0 * step }
    }

    /// Level M and the mask, with their error correction, twice.
    private mutating func drawFormat(_ mask: Int) {
        var remainder = mask
        for _ in 0..<10 { remainder = remainder << 1 ^ (remainder >> 9) * 0x537 }
        let bits = (mask << 10 | remainder) ^ 0x5412
        func bit(_ index: Int) -> Bool { bits >> index & 1 == 1 }
        for index in 0...5 { set(8, index, bit(index)) }
        set(8, 7, bit(6))
        set(8, 8, bit(7))
        set(7, 8, bit(8))
        for index in 9..<15 { set(14 - index, 8, bit(index)) }
        for index in 0..<8 { set(size - 1 - index, 8, bit(index)) }
        for index in 8..<15 { set(8, size - 15 + index, bit(index)) }
        set(8, size - 8, true)
    }

    private mutating func drawVersion(_ version: Int) {
        guard version >= 7 else { return }
        var remainder = version
        for _ in 0..<12 { remainder = remainder << 1 ^ (remainder >> 11) * 0x1F25 }
        let bits = version << 12 | remainder
        for index in 0..<18 {
            let (a, b) = (size - 11 + index % 3, index / 3)
            set(a, b, bits >> index & 1 == 1)
            set(b, a, bits >> index & 1 == 1)
        }
    }

    /// Upwards and downwards in pairs of columns from the right.
    private mutating func draw(_ words: [UInt8]) {
        var index = 0
        for right in stride(from: size - 1, through: 1, by: -2) {
            let right = right <= 6 ? right - 1 : right
            for vertical in 0..<size {
                for x in [right, right - 1] {
                    let isUpwards = (right + 1) & 2 == 0
                    let y = isUpwards ? size - 1 - vertical : vertical
                    guard !isFunction[y * size + x], index < words.count * 8 else { continue }
                    isDark[y * size + x] = words[index >> 3] >> (7 - UInt8(index & 7)) & 1 == 1
                    index += 1
                }
            }
        }
    }

    private mutating func apply(_ mask: Int) {
        for y in 0..<size {
            for x in 0..<size where !isFunction[y * size + x] {
                let inverts =
                    switch mask {
                    case 0: (x + y) % 2 == 0
                    case 1: y % 2 == 0
                    case 2: x % 3 == 0
                    case 3: (x + y) % 3 == 0
                    case 4: (x / 3 + y / 2) % 2 == 0
                    case 5: x * y % 2 + x * y % 3 == 0
                    case 6: (x * y % 2 + x * y % 3) % 2 == 0
                    default: ((x + y) % 2 + x * y % 3) % 2 == 0
                    }
                if inverts { isDark[y * size + x].toggle() }
            }
        }
    }

    // MARK: Which mask reads best

    private var penalty: Int {
        var penalty = 0
        for line in 0..<size {
            penalty += Self.penalty(of: (0..<size).map { self[$0, line] })
            penalty += Self.penalty(of: (0..<size).map { self[line, $0] })
        }
        for y in 0..<size - 1 {
            for x in 0..<size - 1 {
                let dark = self[x, y]
                if dark == self[x + 1, y], dark == self[x, y + 1], dark == self[x + 1, y + 1] { penalty += 3 }
            }
        }
        let dark = isDark.count { $0 }
        return penalty + abs(dark * 20 - isDark.count * 10) / isDark.count * 10
    }

    /// Runs of five and more, and what looks like a finder with four light modules beside it.
    private static func penalty(of line: [Bool]) -> Int {
        var penalty = 0
        var run = 0
        for (index, dark) in line.enumerated() {
            run = index > 0 && line[index - 1] == dark ? run + 1 : 1
            if run == 5 { penalty += 3 } else if run > 5 { penalty += 1 }
        }
        let finder = [true, false, true, true, true, false, true]
        let light = [false, false, false, false]
        for pattern in [finder + light, light + finder] {
            for start in 0...line.count - pattern.count
            where line[start..<start + pattern.count].elementsEqual(pattern) {
                penalty += 40
            }
        }
        return penalty
    }
}

/// Error correction over GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
private enum ReedSolomon {
    static func multiply(_ a: UInt8, _ b: UInt8) -> UInt8 {
        var product = 0
        for bit in (0..<8).reversed() {
            product = product << 1 ^ (product >> 7) * 0x11D
            if b >> UInt8(bit) & 1 == 1 { product ^= Int(a) }
        }
        return UInt8(product)
    }

    /// The coefficients below the leading 1 of (x - 1)(x - 2)(x - 4)…, the highest power first.
    static func divisor(degree: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: degree - 1) + [1]
        var root: UInt8 = 1
        for _ in 0..<degree {
            for index in 0..<degree {
                result[index] = multiply(result[index], root)
                if index + 1 < degree { result[index] ^= result[index + 1] }
            }
            root = multiply(root, 2)
        }
        return result
    }

    static func remainder(of data: [UInt8], _ divisor: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: divisor.count)
        for byte in data {
            let factor = byte ^ result.removeFirst()
            result.append(0)
            for index in result.indices { result[index] ^= multiply(divisor[index], factor) }
        }
        return result
    }
}

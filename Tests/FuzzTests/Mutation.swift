import Testing

#if canImport(Glibc)
import Glibc
#endif

/// SplitMix64: the same seed gives the same run, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Bytes that a parser is fed: good examples, damaged a little or a lot.
struct Mutator {
    private let examples: [[UInt8]]
    private var generator: SeededGenerator
    private static let interesting: [[UInt8]] = [
        [0], [0x7F], [0x80], [0xFF], Array("\\u0000".utf8), Array("\\ud800".utf8), Array("%00".utf8),
        Array("%".utf8), Array("[[[[[[[[".utf8), Array("{\"a\":".utf8), Array("1e999".utf8),
        Array("-9223372036854775809".utf8), [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
        [0xE2, 0x80, 0xAE], Array("|".utf8), Array("=".utf8), Array("&".utf8), Array(";".utf8),
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ]

    init(examples: [[UInt8]], seed: UInt64) {
        self.examples = examples
        generator = SeededGenerator(seed: seed)
    }

    mutating func next() -> [UInt8] {
        var bytes = examples.randomElement(using: &generator) ?? []
        for _ in 0..<Int.random(in: 0...4, using: &generator) { damage(&bytes) }
        return Array(bytes.prefix(70_000))
    }

    mutating func cut(_ bytes: [UInt8]) -> Int { Int.random(in: 0...bytes.count, using: &generator) }

    private mutating func damage(_ bytes: inout [UInt8]) {
        let place = Int.random(in: 0...bytes.count, using: &generator)
        let end = min(bytes.count, place + Int.random(in: 1...8, using: &generator))
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes.removeSubrange(place..<end)
        case 1:
            for index in place..<end { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
        case 2: bytes.insert(contentsOf: Self.interesting.randomElement(using: &generator) ?? [], at: place)
        case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 4: bytes.replaceSubrange(place..., with: examples.randomElement(using: &generator) ?? [])
        default:
            for index in place..<end { bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator) }
        }
    }
}

/// Feeds a parser, for a few thousand inputs, or for `FUZZ_SECONDS` where that is set.
///
/// A trap ends the process: the seed of each run is printed before it, and `FUZZ_SEED` repeats it.
func fuzz(_ name: String, examples: [String], _ body: (inout Mutator, [UInt8]) throws -> Void) rethrows {
    try fuzz(name, examples: examples.map { Array($0.utf8) }, body)
}

func fuzz(_ name: String, examples: [[UInt8]], _ body: (inout Mutator, [UInt8]) throws -> Void) rethrows {
    let seconds = variable("FUZZ_SECONDS").flatMap { Double($0) }
    var seed =
        variable("FUZZ_SEED").flatMap { UInt64($0) }
        ?? (seconds == nil ? 1 : UInt64.random(in: 1...UInt64.max))
    let end = seconds.map { ContinuousClock.now + .seconds($0) }
    repeat {
        if end != nil { print("fuzz \(name): FUZZ_SEED=\(seed)") }
        var mutator = Mutator(examples: examples, seed: seed)
        for _ in 0..<5000 {
            let input = mutator.next()
            try body(&mutator, input)
        }
        seed &+= 1
    } while end.map { ContinuousClock.now < $0 } ?? false
}

private func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

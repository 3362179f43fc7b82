import Testing

/// Whatever arrives, nothing traps, and what a parser accepts keeps the rules (I7, I10).
@Suite("Random input", .serialized)
struct FuzzTests {
    @Test("Nothing traps, and what is accepted keeps its rules", arguments: FuzzTarget.allCases)
    func input(target: FuzzTarget) throws {
        try fuzz(target.rawValue, examples: target.examples) { _, bytes in try target.take(bytes) }
    }

    @Test("Every example is taken as it is", arguments: FuzzTarget.allCases)
    func examples(target: FuzzTarget) throws {
        #expect(!target.examples.isEmpty)
        for example in target.examples { try target.take(example) }
    }
}

import Foundation
import Testing

@Suite("The design")
struct DesignTests {
    @Test("Every invariant is named by a test, and every one that a test or source names is in the design")
    func invariants() throws {
        let stated = Set(
            try Repository.lines(of: "docs/design.md").compactMap { line in
                line.prefixMatch(of: #/- \*\*(I\d+)\*\* /#).map { String($0.1) }
            })
        #expect(stated.count >= 13)
        let isSource = { ["swift", "py"].contains($0) }
        var tested: Set<String> = []
        for file in try Repository.files(in: "Tests", where: isSource) {
            tested.formUnion(file.lines.flatMap(named))
        }
        #expect(tested == stated)
        for file in try Repository.files(in: "Sources", where: isSource) {
            for name in file.lines.flatMap(named) where !stated.contains(name) {
                Issue.record("\(file) names \(name), which docs/design.md does not state")
            }
        }
    }

    private func named(in line: String) -> [String] {
        line.matches(of: /\b(I(?:[1-9]|1[0-9]))\b/).map { String($0.1) }
    }
}

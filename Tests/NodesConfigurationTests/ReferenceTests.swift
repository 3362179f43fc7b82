import Foundation
import Testing

@testable import NodesConfiguration

@Suite("Reference of settings")
struct ReferenceTests {
    @Test("The document lists every setting as the program has it")
    func document() throws {
        let file = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/configuration.md")
        let document = try String(contentsOf: file, encoding: .utf8)
        #expect(
            document.contains(NodesConfiguration.reference),
            "docs/configuration.md differs from what `nodesctl config` prints; put that in its place")
    }

    @Test("Every setting has a name of its own and a sentence, and no text that would break the table")
    func table() throws {
        let settings = NodesConfiguration.settings
        #expect(Set(settings.map(\.key)).count == settings.count)
        #expect(Set(settings.compactMap(\.environmentName)).count == settings.count - 3)
        for setting in settings {
            #expect(setting.summary.hasSuffix("."), "\(setting.key)")
            #expect(!"\(setting)".contains("|"), "\(setting.key)")
        }
    }
}

import Foundation
import Testing

@Suite("House rules")
struct HouseRuleTests {
    @Test("The top level holds what the design lists, dot files, and what building leaves there")
    func topLevel() throws {
        let allowed: Set<String> = [
            "Package.swift", "Sources", "Tests", "Plugins", "nginx", "templates", "README.md", "LICENSE",
            "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "docs", "scripts", "Benchmarks",
            "Package.resolved",
        ]
        for entry in try FileManager.default.contentsOfDirectory(atPath: Repository.root.path())
        where !entry.hasPrefix(".") {
            #expect(allowed.contains(entry), "\(entry)")
        }
    }

    @Test("Nothing unloads a library: unloading a Swift image crashes its host later")
    func unloading() throws {
        let isSource = { ["swift", "c", "h"].contains($0) }
        for file in try Repository.files(in: "Sources", where: isSource)
            + Repository.files(in: "Plugins", where: isSource)
        {
            for (index, line) in file.lines.enumerated() where code(of: line).contains("dlclose") {
                Issue.record("\(file):\(index + 1) calls dlclose")
            }
        }
    }

    @Test(
        "What escapes the compiler's checks has a comment beside it that says why it is safe",
        arguments: [
            "@unchecked Sendable", "nonisolated(unsafe)", "try!", "fatalError",
        ])
    func escapes(escape: String) throws {
        for file in try Repository.swiftFiles(in: "Sources", "Plugins") {
            for (index, line) in file.lines.enumerated() where code(of: line).contains(escape) {
                let isExplained =
                    line.contains("//") || index > 0 && isComment(file.lines[index - 1])
                if !isExplained { Issue.record("\(file):\(index + 1): \(escape) without a comment") }
            }
        }
    }

    @Test("A Swift file has one concern: none is longer than 400 lines")
    func length() throws {
        for file in try Repository.swiftFiles(in: "Sources", "Plugins", "Tests", "Benchmarks") {
            #expect(file.lines.count <= 401, "\(file) has \(file.lines.count - 1) lines")
        }
    }

    @Test("The sources are found: an empty folder would pass every other test")
    func sources() throws {
        #expect(try Repository.swiftFiles(in: "Sources").count > 20)
        #expect(try Repository.swiftFiles(in: "Plugins").count >= 3)
    }

    /// A line without its comment, so that prose may name what code may not use.
    private func code(of line: String) -> Substring {
        isComment(line) ? "" : line[..<(line.firstRange(of: "// ")?.lowerBound ?? line.endIndex)]
    }

    private func isComment(_ line: String) -> Bool {
        let text = line.drop { $0 == " " }
        return text.hasPrefix("//") || text.hasPrefix("*") || text.hasPrefix("/*")
    }
}

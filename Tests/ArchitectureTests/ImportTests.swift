import Foundation
import Testing

/// A module's row in the design's table.
private struct Row {
    let module: String
    let package: Set<String>
    let outside: Set<String>

    /// The table of `docs/design.md`, in its order.
    static func all() throws -> [Row] {
        try Repository.lines(of: "docs/design.md").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count == 6, let module = names(in: cells[1]).first else { return nil }
            return Row(module: module, package: Set(names(in: cells[3])), outside: Set(names(in: cells[4])))
        }
    }

    private static func names(in cell: Substring) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.1) }
    }
}

/// These may import everything.
private let mains: Set<String> = ["nodes-kernel", "nodes-gateway", "nodesctl"]

/// Modules of the toolchain that are allowed wherever threads are.
private let concurrency: Set<String> = ["Synchronization", "Dispatch"]

@Suite("Imports")
struct ImportTests {
    @Test("Every module imports only what its row of the design's table allows")
    func rows() throws {
        let table = Dictionary(uniqueKeysWithValues: try Row.all().map { ($0.module, $0) })
        for file in try Repository.swiftFiles(in: "Sources") where !mains.contains(file.target) {
            let row = try #require(table[file.target], "\(file.target) is not in the table of docs/design.md")
            let allowed = row.package.union(row.outside)
                .union(file.target == "PairingCore" ? [] : concurrency)
            for module in imports(of: file) where !allowed.contains(module) {
                Issue.record("\(file) imports \(module)")
            }
        }
    }

    @Test("The design's table has a row for every module, and a row imports only rows above it")
    func order() throws {
        var above: Set<String> = []
        for row in try Row.all() {
            #expect(row.package.isSubset(of: above), "\(row.module)")
            #expect(above.insert(row.module).inserted, "\(row.module) is there twice")
        }
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appending(path: "Sources").path())
        #expect(above.union(mains) == Set(folders))
    }

    @Test("What a row allows is imported somewhere: the table says what is, not what might be")
    func nothingUnused() throws {
        let files = try Repository.swiftFiles(in: "Sources")
        for row in try Row.all() {
            let used = Set(files.filter { $0.target == row.module }.flatMap(imports))
            for module in row.package.union(row.outside).subtracting(used) {
                Issue.record("\(row.module) does not import \(module)")
            }
        }
    }

    @Test("A channel imports the SDK and nothing of this repository's internals")
    func channels() throws {
        for file in try Repository.swiftFiles(in: "Plugins") where !file.path.hasSuffix("/Package.swift") {
            let allowed = concurrency.union(["ChannelKit", "FoundationEssentials"])
            for module in imports(of: file) where !allowed.contains(module) {
                Issue.record("\(file) imports \(module)")
            }
        }
    }

    private func imports(of file: Repository.SourceFile) -> [String] {
        let pattern =
            /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?([A-Za-z_]\w*)/
        return file.lines.compactMap { $0.firstMatch(of: pattern).map { String($0.1) } }
    }
}

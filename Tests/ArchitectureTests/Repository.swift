import Foundation

/// The repository's files, read once.
struct Repository {
    struct SourceFile: Sendable, CustomStringConvertible {
        /// Relative to the repository's root, such as `Sources/Postgres/Pool.swift`.
        let path: String
        let lines: [String]

        var description: String { path }

        /// The folder that is a target of its own: `Postgres`.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    }

    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file below the folders given.
    static func swiftFiles(in folders: String...) throws -> [SourceFile] {
        try folders.flatMap { try files(in: $0) { $0 == "swift" } }
    }

    /// The lines of one file, by its path from the root.
    static func lines(of path: String) throws -> [Substring] {
        try String(contentsOf: root.appending(path: path), encoding: .utf8).split(separator: "\n")
    }

    /// Every file below a folder whose extension is wanted, in the order of their paths; what building leaves in
    /// dot folders is nobody's source.
    static func files(in folder: String, where isWanted: (String) -> Bool) throws -> [SourceFile] {
        let manager = FileManager.default
        guard manager.fileExists(atPath: root.appending(path: folder).path()) else { return [] }
        let paths = try manager.subpathsOfDirectory(atPath: root.appending(path: folder).path())
        let sources = paths.sorted().filter { path in
            isWanted(URL(filePath: path).pathExtension)
                && !path.split(separator: "/").contains { $0.hasPrefix(".") }
        }
        return try sources.map { path in
            let text = try String(contentsOf: root.appending(path: "\(folder)/\(path)"), encoding: .utf8)
            return SourceFile(path: "\(folder)/\(path)", lines: text.components(separatedBy: "\n"))
        }
    }
}

import Foundation

@testable import AdminPages

/// The repository's folder.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The text of every template that is installed.
func templateSources() throws -> [String: String] {
    let folder = repository.appending(path: "templates")
    return try PageTemplates.names.reduce(into: [:]) { sources, name in
        sources[name] = try String(contentsOf: folder.appending(path: "\(name).mustache"), encoding: .utf8)
    }
}

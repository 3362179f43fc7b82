import AdminPages
import Cryptography
import FoundationEssentials

/// The files of the templates' folder.
struct TemplateFiles {
    /// Why they can't be used.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// The compiled templates.
    let templates: PageTemplates
    /// Changes whenever a file in `static/` does; nginx serves those, browsers keep them.
    let assetVersion: String

    /// Reads and checks them.
    ///
    /// - Throws: ``Fault`` or `TemplateFault`, which name the file, what is wrong and what to do.
    init(directory: String) throws {
        var sources: [String: String] = [:]
        for name in PageTemplates.names {
            let path = "\(directory)/\(name).mustache"
            guard let text = String(validating: try Self.read(path), as: UTF8.self) else {
                throw Fault(description: "\(path) is not UTF-8. Install the templates again.")
            }
            sources[name] = text
        }
        templates = try PageTemplates(sources: sources)
        let assets = try [
            "pages.css", "more.css", "print.css", "pages.js", "dialogs.js", "live.js", "lists.js",
            "tables.js", "passkeys.js", "icons.svg", "icon.svg",
        ].flatMap {
            try Self.read("\(directory)/static/\($0)")
        }
        assetVersion = hexadecimal(sha256(assets).prefix(4))
    }

    private static func read(_ path: String) throws(Fault) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw Fault(
                description:
                    "\(path) can't be read. Set templates.directory to the folder of the templates, or "
                    + "install them again.")
        }
    }
}

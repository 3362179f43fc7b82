import Mustache

/// Why the templates can't be used.
public struct TemplateFault: Error, Equatable, CustomStringConvertible {
    /// Which template, what is wrong with it and what to do.
    public let description: String
}

/// The compiled templates of every page; made once at start.
public struct PageTemplates: Sendable {
    /// The names of the templates, each of them a file `<name>.mustache`.
    public static let names = Page.allCases.map(\.rawValue) + partials

    /// A template that is a whole page.
    enum Page: String, CaseIterable {
        case login, logout, nodes, channels, decision, device, revocation, message
    }

    private static let partials = [
        "layout", "request", "profile", "rivals", "time", "channel", "alert", "plugin",
    ]

    private let library: MustacheLibrary

    /// Compiles the templates.
    ///
    /// - Parameter sources: the text of every template in ``names``, by name.
    /// - Throws: ``TemplateFault`` where one is missing, can't be parsed, uses one that does not exist, or
    ///   writes a value without escaping it.
    public init(sources: [String: String]) throws(TemplateFault) {
        MustacheContentTypes.register(HTMLEscaping(), named: HTMLEscaping.name)
        var library = MustacheLibrary()
        for name in Self.names {
            guard let source = sources[name] else {
                throw TemplateFault(
                    description: "The template \(name).mustache is missing. Install it again with the others."
                )
            }
            try Self.check(source, name: name)
            do {
                try library.register(Self.prepared(source), named: name)
            } catch {
                throw TemplateFault(description: "The template \(name).mustache can't be read: \(error)")
            }
        }
        self.library = library
    }

    /// Renders a page.
    func render(_ page: Page, _ model: some MustacheParent) -> String {
        // Every page's template was registered by the initialiser.
        library.render(model, withTemplate: page.rawValue) ?? ""
    }

    /// The source with our escaping instead of the library's, and without its indentation, which is for
    /// the reader of the template and would be a tenth of every page.
    private static func prepared(_ source: String) -> String {
        let lines = source.split(separator: "\n").map { $0.drop { $0 == " " } }
        return "{{% CONTENT_TYPE: \(HTMLEscaping.name)}}\n" + lines.joined(separator: "\n") + "\n"
    }

    private static func check(_ source: String, name: String) throws(TemplateFault) {
        for tag in source.split(separator: "{{", omittingEmptySubsequences: false).dropFirst() {
            switch tag.first {
            case "{", "&", "%", "=":
                throw TemplateFault(
                    description:
                        "The template \(name).mustache has a tag {{\(tag.prefix(1)): values are always "
                        + "escaped, and delimiters and content types never change. Write {{name}}.")
            case ">", "<":
                let used = tag.dropFirst().prefix { $0 != "}" }.filter { $0 != " " }
                guard names.contains(used) else {
                    throw TemplateFault(
                        description:
                            "The template \(name).mustache uses a template \(used), which does not exist.")
                }
            default: continue
            }
        }
    }
}

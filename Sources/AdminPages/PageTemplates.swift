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
        case login, logout, nodes, channels, agents, requests, decision, device, revocation, selection,
            message, browser
        case code, passkey, account, accounts, person, removal, audit, invitations
        case webhooks, webhook, unhook
    }

    private static let partials = [
        "layout", "commands", "metadata", "past", "reason", "request", "profile", "rivals", "time", "channel",
        "alert", "plugin", "export", "filters", "qr", "roles", "window", "passkeys",
    ]

    private let trees: [Page: [TemplateNode]]
    /// What may be done to a row is part of it.
    private let rows = (deciding: RenderedRows(), seeing: RenderedRows())

    /// Compiles the templates.
    ///
    /// - Parameter sources: the text of every template in ``names``, by name.
    /// - Throws: ``TemplateFault`` where one is missing, can't be parsed, uses one that does not exist, or
    ///   writes a value without escaping it.
    public init(sources: [String: String]) throws(TemplateFault) {
        var read: [String: [TemplateNode]] = [:]
        for name in Self.names {
            guard let source = sources[name] else {
                throw TemplateFault(
                    description: "The template \(name).mustache is missing. Install it again with the others."
                )
            }
            try Self.check(source, name: name)
            do {
                read[name] = try TemplateReader.read(source)
            } catch {
                throw TemplateFault(description: "The template \(name).mustache can't be read: \(error)")
            }
        }
        var trees: [Page: [TemplateNode]] = [:]
        for page in Page.allCases {
            do {
                trees[page] = try read.resolved(page.rawValue)
            } catch {
                throw TemplateFault(
                    description: "The template \(page.rawValue).mustache can't be used: \(error)")
            }
        }
        self.trees = trees
    }

    /// Renders a page.
    ///
    /// - Returns: its HTML, in UTF-8.
    func render(_ page: Page, _ model: some PageModel) -> [UInt8] {
        let mayDecide = model.child(named: "mayDecide") as? Bool ?? false
        var renderer = TemplateRenderer(
            model, expecting: 48 * 1024, rows: mayDecide ? rows.deciding : rows.seeing)
        // Every page's template was read by the initialiser.
        renderer.render(trees[page] ?? [])
        return renderer.output
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

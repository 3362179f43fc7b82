/// A template, read: its text and its tags (mustache(5) with inheritance, without what ``PageTemplates`` forbids).
indirect enum TemplateNode: Sendable, Equatable {
    case text([UInt8])
    /// `{{name}}`
    case value(String)
    /// `{{.}}`
    case current
    /// `{{#name}}…{{/name}}`
    case section(String, [TemplateNode])
    /// `{{^name}}…{{/name}}`
    case inverted(String, [TemplateNode])
    /// `{{>name}}`
    case partial(String)
    /// `{{<name}}…{{/name}}`, with what takes the place of the blocks of that template.
    case parent(String, [String: [TemplateNode]])
    /// `{{$name}}…{{/name}}`
    case block(String, [TemplateNode])
}

/// Reads the text of templates.
///
/// A tag that shows nothing by itself and stands alone on its line takes the line with it. Indentation is for the
/// reader of the template, and would be a tenth of every page.
struct TemplateReader {
    /// Where a template is not as it should be.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private enum Token {
        case text(Substring)
        case tag(Character?, String)
    }

    private var tokens: ArraySlice<Token>

    /// The nodes of a template.
    static func read(_ source: String) throws(Fault) -> [TemplateNode] {
        let lines = source.split(separator: "\n").map { $0.drop { $0 == " " } }
        var reader = TemplateReader(tokens: [])
        reader.tokens = try tokens(of: lines)[...]
        let nodes = try reader.nodes(until: nil)
        return merged(nodes)
    }

    private init(tokens: ArraySlice<Token>) { self.tokens = tokens }

    private static func tokens(of lines: [Substring]) throws(Fault) -> [Token] {
        var tokens: [Token] = []
        for line in lines {
            var found: [Token] = []
            var rest = line
            while let start = rest.firstRange(of: "{{") {
                guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                    throw Fault(description: "a tag is not closed: \(rest[start.lowerBound...].prefix(40))")
                }
                if start.lowerBound > rest.startIndex { found.append(.text(rest[..<start.lowerBound])) }
                found.append(tag(rest[start.upperBound..<end.lowerBound]))
                rest = rest[end.upperBound...]
            }
            if !rest.isEmpty { found.append(.text(rest)) }
            if isStructure(found) {
                tokens += found
            } else {
                tokens += found
                tokens.append(.text("\n"))
            }
        }
        return tokens
    }

    private static func tag(_ text: Substring) -> Token {
        let kind = text.first.flatMap { "#^/><$!".contains($0) ? $0 : nil }
        let name = (kind == nil ? text : text.dropFirst()).filter { $0 != " " }
        return .tag(kind, String(name))
    }

    /// Whether a line has nothing but one tag that shows nothing by itself, or blocks one after the other.
    private static func isStructure(_ line: [Token]) -> Bool {
        var tags = 0
        for token in line {
            switch token {
            case .text(let text): guard text.allSatisfy({ $0 == " " }) else { return false }
            case .tag(nil, _): return false
            case .tag: tags += 1
            }
        }
        return tags == 1
    }

    private mutating func nodes(until end: String?) throws(Fault) -> [TemplateNode] {
        var nodes: [TemplateNode] = []
        while let token = tokens.popFirst() {
            switch token {
            case .text(let text): nodes.append(.text(Array(text.utf8)))
            case .tag(nil, "."): nodes.append(.current)
            case .tag(nil, let name):
                guard Self.isName(name) else { throw Fault(description: "{{\(name)}} has no name") }
                nodes.append(.value(name))
            case .tag("!", _): continue
            case .tag(">", let name): nodes.append(.partial(name))
            case .tag("/", let name):
                guard name == end else {
                    throw Fault(description: "{{/\(name)}} closes nothing; expected \(end ?? "nothing")")
                }
                return Self.merged(nodes)
            case .tag(let kind?, let name):
                guard Self.isName(name) else { throw Fault(description: "{{\(kind)\(name)}} has no name") }
                let inner = try self.nodes(until: name)
                switch kind {
                case "#": nodes.append(.section(name, inner))
                case "^": nodes.append(.inverted(name, inner))
                case "$": nodes.append(.block(name, inner))
                default:
                    var blocks: [String: [TemplateNode]] = [:]
                    for case .block(let block, let content) in inner { blocks[block] = content }
                    nodes.append(.parent(name, blocks))
                }
            }
        }
        guard end == nil else { throw Fault(description: "{{/\(end ?? "")}} is missing") }
        return nodes
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0)
            }
    }

    /// The same with texts that follow each other as one.
    static func merged(_ nodes: [TemplateNode]) -> [TemplateNode] {
        var result: [TemplateNode] = []
        for node in nodes {
            if case .text(let more) = node, case .text(let text)? = result.last {
                result[result.count - 1] = .text(text + more)
            } else {
                result.append(node)
            }
        }
        return result
    }
}

extension ClosedRange<String> {
    fileprivate func contains(_ byte: UInt8) -> Bool {
        lowerBound.utf8.first.map { $0 <= byte } ?? false && upperBound.utf8.first.map { byte <= $0 } ?? false
    }
}

extension [String: [TemplateNode]] {
    /// A template with every template that it uses in its place, so that rendering looks nothing up.
    ///
    /// - Throws: where one uses itself.
    func resolved(_ name: String) throws(TemplateReader.Fault) -> [TemplateNode] {
        try resolve(self[name] ?? [], blocks: [:], within: [name])
    }

    private func resolve(
        _ nodes: [TemplateNode], blocks: [String: [TemplateNode]], within: [String]
    ) throws(TemplateReader.Fault) -> [TemplateNode] {
        var result: [TemplateNode] = []
        for node in nodes {
            switch node {
            case .text, .value, .current: result.append(node)
            case .section(let name, let inner):
                result.append(.section(name, try resolve(inner, blocks: blocks, within: within)))
            case .inverted(let name, let inner):
                result.append(.inverted(name, try resolve(inner, blocks: blocks, within: within)))
            case .block(let name, let inner):
                result += try resolve(blocks[name] ?? inner, blocks: [:], within: within)
            case .partial(let name):
                try check(name, within)
                result += try resolve(self[name] ?? [], blocks: [:], within: within + [name])
            case .parent(let name, let overrides):
                try check(name, within)
                result += try resolve(self[name] ?? [], blocks: overrides, within: within + [name])
            }
        }
        return TemplateReader.merged(result)
    }

    private func check(_ name: String, _ within: [String]) throws(TemplateReader.Fault) {
        guard !within.contains(name) else {
            throw TemplateReader.Fault(description: "it uses itself by way of \(name)")
        }
    }
}

/// Renders one page: writes the text of a resolved template, with the values of models, into bytes.
struct TemplateRenderer {
    private(set) var output: [UInt8] = []
    private var models: [any PageModel]
    private var current: String?
    private let rows: RenderedRows?

    /// - Parameters:
    ///   - expected: about how many bytes it will be.
    ///   - rows: where rendered rows of lists are kept.
    init(_ model: any PageModel, expecting expected: Int, rows: RenderedRows? = nil) {
        models = [model]
        self.rows = rows
        output.reserveCapacity(expected)
    }

    mutating func render(_ nodes: [TemplateNode]) {
        for node in nodes {
            switch node {
            case .text(let bytes): output += bytes
            case .current: if let current { HTMLEscaping.append(current, to: &output) }
            case .value(let name):
                switch value(name)?.content {
                case .text(let text): HTMLEscaping.append(text, to: &output)
                case .flag, .list, .model, nil: break
                }
            case .section(let name, let inner): renderSection(value(name)?.content, inner)
            case .inverted(let name, let inner):
                switch value(name)?.content {
                case nil, .flag(false): render(inner)
                case .list(let items): if items.isEmpty { render(inner) }
                case .text, .flag, .model: break
                }
            // Resolved before.
            case .partial, .parent, .block: break
            }
        }
    }

    private mutating func renderSection(_ content: PageContent?, _ inner: [TemplateNode]) {
        switch content {
        case nil, .flag(false): break
        case .flag(true): render(inner)
        case .text(let text):
            let outer = current
            current = text
            render(inner)
            current = outer
        case .list(let items):
            for item in items { renderOnce(inner, of: item) }
        case .model(let model): render(inner, of: model)
        }
    }

    private mutating func renderOnce(_ nodes: [TemplateNode], of item: any PageModel) {
        guard let rows, let key = item.renderingKey else { return render(nodes, of: item) }
        if let row = rows[key] {
            output += row
        } else {
            let start = output.count
            render(nodes, of: item)
            rows[key] = Array(output[start...])
        }
    }

    private mutating func render(_ nodes: [TemplateNode], of model: any PageModel) {
        models.append(model)
        render(nodes)
        models.removeLast()
    }

    /// The innermost model that knows the name decides.
    private func value(_ name: String) -> (any PageValue)? {
        for model in models.reversed() {
            if let value = model.child(named: name) { return value }
        }
        return nil
    }
}

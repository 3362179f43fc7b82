extension NodesConfiguration {
    /// The reference of every setting as Markdown tables: what `nodesctl config` prints and
    /// `docs/configuration.md` holds.
    public static var reference: String {
        var lines = [
            "| Key | Environment | Value | Default | Meaning |",
            "|---|---|---|---|---|",
        ]
        for setting in settings {
            let value = setting.defaultText.map { $0.isEmpty ? "empty" : "`\($0)`" } ?? "–"
            let variable = setting.environmentName.map { "`\($0)`" } ?? "–"
            lines.append(
                "| `\(setting.key)` | \(variable) | \(setting.form) | \(value) | \(setting.summary) |")
        }
        lines += [
            "", "The settings of an agent, in its object under `\(agentsKey)`:", "",
            "| Key | Of | Value | Default | Meaning |", "|---|---|---|---|---|",
        ]
        for setting in agentSettings {
            let kinds = Agent.Kind.allCases.filter(setting.kinds.contains)
            let kind =
                kinds.count == Agent.Kind.allCases.count
                ? "all" : kinds.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            let value = setting.defaultText.map { $0.isEmpty ? "empty" : "`\($0)`" } ?? "–"
            lines.append("| `\(setting.key)` | \(kind) | \(setting.form) | \(value) | \(setting.summary) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension NodesConfiguration {
    /// The reference of every setting as a Markdown table: what `nodesctl config` prints and
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
        return lines.joined(separator: "\n") + "\n"
    }
}

import PairingCore

/// Rows in columns for a person.
struct TextTable {
    private let header: [String]
    private var rows: [[String]] = []

    init(_ header: String...) { self.header = header }

    /// Adds a row; what the cells hold need not be fit for a terminal.
    mutating func add(_ cells: String...) {
        rows.append(cells.map { $0.isEmpty ? "-" : terminalText($0) })
    }

    /// The table; the last column is not padded.
    var text: String {
        let lines = [header] + rows
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { cells in
            zip(cells, widths).enumerated().map { column, cell in
                column == cells.count - 1
                    ? cell.0 : cell.0 + String(repeating: " ", count: cell.1 - cell.0.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

/// Names and values of one thing for a person, one a line.
struct TextSheet {
    private var lines: [(name: String, value: String)] = []

    /// Adds a line; without a value there is none.
    mutating func add(_ name: String, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        lines.append((terminalText(name), terminalText(value)))
    }

    /// The sheet.
    var text: String {
        let width = lines.map(\.name.count).max() ?? 0
        return lines.map { line in
            line.name + ":" + String(repeating: " ", count: width - line.name.count + 1) + line.value
        }.joined(separator: "\n")
    }
}

import PairingCore

/// How an export is written: rows of named values, a piece at a time.
enum ExportFormat: String {
    case csv, json

    /// A row: names and values in the order of the columns.
    typealias Row = [(name: String, value: JSONValue)]

    var contentType: String {
        self == .csv ? "text/csv; charset=utf-8; header=present" : "application/json"
    }

    /// What comes before the first row.
    func beginning(_ columns: [String]) -> String {
        switch self {
        // The mark makes spreadsheets read UTF-8.
        case .csv: "\u{FEFF}" + columns.map(Self.cell).joined(separator: ",") + "\r\n"
        case .json: "["
        }
    }

    /// One row.
    func row(_ row: Row, isFirst: Bool) -> String {
        switch self {
        case .csv: row.map { Self.cell(Self.text($0.value)) }.joined(separator: ",") + "\r\n"
        case .json:
            (isFirst ? "\n" : ",\n") + "{"
                + row.map { "\(JSONValue.string($0.name).text):\($0.value.text)" }.joined(separator: ",")
                + "}"
        }
    }

    /// What comes after the last row.
    var end: String { self == .csv ? "" : "\n]\n" }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        default: value.text
        }
    }

    /// A cell of a table (RFC 4180), in quotes.
    ///
    /// Spreadsheets take what begins with one of a few characters for a formula, also in quotes, and devices choose
    /// what begins their names: an apostrophe before it makes text of it. Excel reads those signs in full width too.
    static func cell(_ text: String) -> String {
        let isFormula =
            switch text.unicodeScalars.first {
            case "=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠": true
            default: false
            }
        // By scalars: a quotation mark with a combining mark is another character.
        var quoted = String.UnicodeScalarView()
        for scalar in (isFormula ? "'" + text : text).unicodeScalars {
            if scalar == "\"" { quoted.append("\"") }
            quoted.append(scalar)
        }
        return "\"\(String(quoted))\""
    }
}

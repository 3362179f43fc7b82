import PairingCore
import Testing

@testable import AdminPages

@Suite("Exports are read as what they are")
struct ExportFormatTests {
    @Test(
        "I7: no spreadsheet takes a cell for a formula, and none ends before its end",
        arguments: [
            ("plain", "\"plain\""), ("", "\"\""), ("a \"b\", c", "\"a \"\"b\"\", c\""), ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""), ("-1", "\"'-1\""), ("@SUM(1)", "\"'@SUM(1)\""), ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""), ("a=1", "\"a=1\""), ("\"\u{301}=1", "\"\"\"\u{301}=1\""),
        ])
    func cells(text: String, cell: String) {
        #expect(Array(ExportFormat.cell(text).unicodeScalars) == Array(cell.unicodeScalars))
    }

    @Test("JSON is an array of objects, with rows and without")
    func json() throws {
        let format = ExportFormat.json
        let row: ExportFormat.Row = [("a", .string("\"x\n")), ("b", .integer(1)), ("c", .null)]
        for count in 0...2 {
            let text =
                format.beginning(["a", "b", "c"])
                + (0..<count).map { format.row(row, isFirst: $0 == 0) }.joined() + format.end
            guard case .array(let rows) = try JSONValue(parsing: text.utf8) else {
                Issue.record("expected an array")
                return
            }
            #expect(rows.count == count && rows.allSatisfy { $0["a"] == .string("\"x\n") })
        }
    }

    @Test("CSV has its columns first, and a line for each row")
    func csv() {
        let format = ExportFormat.csv
        let text =
            format.beginning(["a", "b"]) + format.row([("a", .null), ("b", .bool(true))], isFirst: true)
        #expect(text == "\u{FEFF}\"a\",\"b\"\r\n\"\",\"true\"\r\n")
    }

    @Test("So many exports run at a time, and a place is free again when its export is gone")
    func room() {
        let room = ExportRoom()
        var places = (0..<ExportRoom.places).map { _ in room.enter() }
        #expect(places.allSatisfy { $0 != nil } && room.enter() == nil)
        places.removeLast()
        #expect(room.enter() != nil)
    }
}

import PairingCore
import Testing

@testable import nodesctl

@Suite("What the command line prints and reads")
struct OutputTests {
    @Test(
        "A moment is written and read in RFC 3339",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_798_761_599_999, "2026-12-31T23:59:59Z"),
        ])
    func times(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).text == text)
        #expect(Timestamp(operatorText: text)?.milliseconds == milliseconds / 1000 * 1000)
    }

    @Test(
        "Offsets, missing seconds, fractions and milliseconds are understood",
        arguments: [
            ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T23:00:00-01:00", nil),
            ("1970-01-01 00:01Z", 60_000),
            ("1970-01-01T00:00:01.5Z", 1000), ("1735689600000", 1_735_689_600_000),
        ] as [(String, Int64?)])
    func spellings(text: String, milliseconds: Int64?) {
        #expect(Timestamp(operatorText: text)?.milliseconds == milliseconds)
    }

    @Test(
        "What is no moment is not read",
        arguments: [
            "", "now", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01", "-5",
            "2026-01-01T24:00:00Z",
        ])
    func noTimes(text: String) {
        #expect(Timestamp(operatorText: text) == nil)
    }

    @Test("A device's text cannot steer the terminal (I7)")
    func terminal() {
        #expect(terminalText("a\u{1B}[2Jb\nc") == "a\\u{1b}[2Jb\\u{a}c")
        #expect(terminalText("x\u{202E}y\u{9B}z", keepingLines: true) == "x\\u{202e}y\\u{9b}z")
        #expect(terminalText("über\nzwei", keepingLines: true) == "über\nzwei")
    }

    @Test("A table is aligned and shows empty cells")
    func table() {
        var table = TextTable("ID", "NAME")
        table.add("1", "")
        table.add("22", "tablet\u{7}")
        #expect(table.text == "ID  NAME\n1   -\n22  tablet\\u{7}")
    }

    @Test("A sheet leaves out what there is not")
    func sheet() {
        var sheet = TextSheet()
        sheet.add("Code", "ABCD-EFGH")
        sheet.add("Name", nil)
        sheet.add("Address", "192.0.2.1")
        #expect(sheet.text == "Code:    ABCD-EFGH\nAddress: 192.0.2.1")
    }

    @Test("Every refusal has its exit status", arguments: ErrorCode.allCases)
    func statuses(code: ErrorCode) {
        let failure = CommandFailure(
            Refusal(code, "reason", "Message.", details: ["state": .string("denied")]))
        let expected: nodesctl.ExitStatus =
            switch code {
            case .invalidRequest: .usage
            case .unauthorized, .forbidden: .notPermitted
            case .notPaired, .notFound: .notFound
            case .alreadyExists, .failedPrecondition: .refused
            case .resourceExhausted: .tryAgain
            case .unavailable: .unavailable
            case .internal: .failure
            }
        #expect(failure.status == expected)
        #expect(failure.message == "Message. (state: denied)")
        #expect(failure.json["error"]?["code"] == .string(code.rawValue))
        #expect(failure.json["error"]?["details"]?["state"] == .string("denied"))
    }
}

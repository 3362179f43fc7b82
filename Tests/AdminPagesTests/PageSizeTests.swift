import Foundation
import PairingCore
import Testing

@testable import AdminPages
@testable import PairingKernel

/// What a browser loads to show `/nodes`, with as many requests and devices as fit on it.
@Suite("The page of requests and devices is small")
struct PageSizeTests {
    private static let page: String = {
        let names = ["Reception tablet", "Kiosk by the lift", "", "Anna's phone", "Boiler room"]
        let requests = (0..<25).map { number in
            sampleRequest(
                "tablet-floor-\(number)", channel: ["web", "mobile", "iot"][number % 3],
                name: names[number % 5],
                details: number % 3 == 2 ? [] : [Detail(label: "Browser", value: "Chromium 156 on Android")],
                hasKey: number % 2 == 0)
        }
        let devices = (0..<25).map { number in
            sampleDevice(
                "kiosk-floor-\(number)", channel: ["web", "mobile", "iot"][number % 3],
                name: names[number % 5],
                isConnected: number % 4 != 0)
        }
        let content = NodesPage(
            query: NodesQuery(text: ""), requests: .init(rows: requests, next: "x"),
            devices: .init(rows: devices, next: "x"), counts: (1000, 1001),
            channels: ["iot", "mobile", "web"].compactMap { ChannelID($0) }, settings: sampleSettings,
            now: sampleNow)
        var frame = sampleFrame("Nodes")
        frame.assetVersion = "01234567"
        guard let sources = try? templateSources(), let templates = try? PageTemplates(sources: sources)
        else { return "" }
        return html(templates, .nodes, PageView(frame: frame, content: content))
    }()

    private static func matches(_ pattern: String) throws -> [String] {
        let expression = try Regex(pattern, as: (Substring, Substring).self)
        return page.matches(of: expression).map { String($0.output.1) }
    }

    @Test("HTML, style sheets and scripts have 60 KiB, uncompressed")
    func size() throws {
        let files =
            try Self.matches(#"<link rel="stylesheet" href="/static/([^?"]+)"#)
            + Self.matches(#"<script src="/static/([^?"]+)"#)
        #expect(files.contains("pages.css") && files.contains("live.js"))
        let folder = repository.appending(path: "templates/static")
        let parts =
            try [("HTML", Self.page.utf8.count)]
            + files.map { ($0, try Data(contentsOf: folder.appending(path: $0)).count) }
        let sum = parts.reduce(0) { $0 + $1.1 }
        #expect(sum <= 60 * 1024, "\(parts)")
    }

    @Test("The first paint waits for the page and one style sheet, and for no script")
    func firstPaint() throws {
        let sheets = try Self.matches(#"<link rel="stylesheet" ([^>]+)>"#)
        #expect(sheets.filter { !$0.contains(#"media="print""#) }.count == 1)
        #expect(try Self.matches("<script ([^>]+)>").allSatisfy { $0.contains("defer") })
        #expect(!Self.page.contains("<style") && Self.page.contains("kiosk-floor-24"))
    }
}

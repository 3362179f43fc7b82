import Foundation
import Testing

@testable import AdminPages

@Suite("Templates are checked at start")
struct PageTemplatesTests {
    @Test("The installed templates are accepted, and there are no others")
    func installed() throws {
        _ = try PageTemplates(sources: templateSources())
        let files = try FileManager.default.contentsOfDirectory(
            atPath: repository.appending(path: "templates").path())
        #expect(
            Set(files.filter { $0.hasSuffix(".mustache") })
                == Set(PageTemplates.names.map { $0 + ".mustache" }))
    }

    @Test("A missing template stops the start with its name")
    func missing() throws {
        var sources = try templateSources()
        sources["nodes"] = nil
        let fault = #expect(throws: TemplateFault.self) { try PageTemplates(sources: sources) }
        #expect(fault?.description.contains("nodes.mustache is missing") == true)
    }

    @Test(
        "A bad template stops the start with its name",
        arguments: [
            "{{#a}}", "{{a", "{{/a}}", "{{{a}}}", "{{&a}}", "{{> nothing}}", "{{=<% %>=}}",
            "{{% CONTENT_TYPE: TEXT}}",
        ])
    func bad(source: String) throws {
        var sources = try templateSources()
        sources["message"] = source
        let fault = #expect(throws: TemplateFault.self) { try PageTemplates(sources: sources) }
        #expect(fault?.description.contains("message.mustache") == true)
    }

    @Test(
        "I7: text can't end an attribute or begin a tag, whatever follows its quotation mark",
        arguments: [
            ("\"", "&quot;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;"), ("&", "&amp;"),
            ("\"\u{301}", "&quot;\u{301}"), ("<\u{338}", "&lt;\u{338}"), ("a\"\u{20DD}b", "a&quot;\u{20DD}b"),
            ("plain é 日本", "plain é 日本"),
        ])
    func escaping(text: String, escaped: String) throws {
        var sources = try templateSources()
        sources["message"] = "{{<layout}}{{$main}}[{{heading}}]{{>time}}{{/main}}{{/layout}}"
        sources["time"] = "({{advice}})"
        let html = html(
            try PageTemplates(sources: sources), .message,
            PageView(
                frame: PageFrame(title: text, assetVersion: "1", serverTime: PageTime(sampleNow)),
                content: MessagePage(status: 200, heading: text, advice: text, wayOut: .home)))
        #expect(html.contains("[\(escaped)](\(escaped))"))
        #expect(html.contains("<title>\(escaped) · GoClaw</title>"))
    }
}

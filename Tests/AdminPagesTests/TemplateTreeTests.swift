import Testing

@testable import AdminPages

@Suite("Templates are read as Mustache says")
struct TemplateTreeTests {
    private final class Model: PageModel {
        let values: [String: any PageValue]

        init(_ values: [String: any PageValue]) { self.values = values }

        func child(named name: String) -> (any PageValue)? { values[name] }
    }

    private func render(_ template: String, _ values: [String: any PageValue], more: [String: String] = [:])
        throws
        -> String
    {
        var read = try more.mapValues { try TemplateReader.read($0) }
        read["page"] = try TemplateReader.read(template)
        var renderer = TemplateRenderer(Model(values), expecting: 64)
        renderer.render(try read.resolved("page"))
        return String(decoding: renderer.output, as: UTF8.self)
    }

    @Test("Values, sections, inverted sections and lists")
    func tags() throws {
        let items = [Model(["name": "a"]), Model(["name": "b", "isLast": true])]
        let template =
            "{{title}}:{{#items}}{{name}}{{^isLast}},{{/isLast}}{{/items}}{{^none}} none{{/none}}{{#text}} [{{.}}]{{/text}}"
        #expect(
            try render(template, ["title": "T", "items": items, "none": false, "text": "<x>"])
                == "T:a,b none [&lt;x&gt;]\n")
        #expect(try render("{{^items}}empty{{/items}}", ["items": [Model]()]) == "empty\n")
        #expect(try render("{{missing}}{{#missing}}x{{/missing}}", [:]) == "\n")
    }

    @Test("What surrounds an item is asked for what the item does not know")
    func surroundings() throws {
        let template = "{{#items}}{{own}}{{outer}} {{/items}}{{#one}}{{own}}{{/one}}"
        #expect(
            try render(
                template, ["outer": "o", "items": [Model(["own": "1"])], "one": Model(["own": "2"])])
                == "1o 2\n")
    }

    @Test("A tag alone on its line takes the line with it; indentation is left out")
    func lines() throws {
        #expect(try render("  a\n  {{#yes}}\n    b\n  {{/yes}}\nc", ["yes": true]) == "a\nb\nc\n")
        #expect(try render("{{! a comment }}\nx{{! another }}y", [:]) == "xy\n")
        #expect(try render("a\n{{>part}}\nb", [:], more: ["part": "p"]) == "a\np\nb\n")
    }

    @Test("A template takes the blocks of another one")
    func inheritance() throws {
        let layout = "<{{$main}}default{{/main}}|{{$side}}side{{/side}}>"
        #expect(
            try render("{{<layout}}{{$main}}{{x}}{{/main}}{{/layout}}", ["x": "1"], more: ["layout": layout])
                == "<1|side>\n\n")
    }

    @Test(
        "What is not a template is named",
        arguments: [
            "{{#a}}", "{{/a}}", "{{#a}}{{/b}}", "{{a", "{{}}", "{{a b-c}}", "{{#a}}{{^b}}{{/a}}{{/b}}",
        ])
    func faults(source: String) {
        #expect(throws: TemplateReader.Fault.self) { try TemplateReader.read(source) }
    }

    @Test("A template that uses itself is refused, and does not end the process")
    func recursion() throws {
        let read = [
            "a": try TemplateReader.read("{{>b}}"), "b": try TemplateReader.read("{{<a}}{{/a}}"),
        ]
        #expect(throws: TemplateReader.Fault.self) { try read.resolved("a") }
    }
}

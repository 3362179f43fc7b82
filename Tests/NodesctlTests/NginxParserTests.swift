import Testing

@testable import nodesctl

@Suite("nginx's configuration, as nodesctl doctor reads it")
struct NginxParserTests {
    private func parse(
        _ text: String, files: [String: String] = [:]
    ) throws(NginxParser.Problem) -> [NginxDirective] {
        var parser = NginxParser { pattern throws(NginxParser.Problem) in
            guard let text = files[pattern] else { throw NginxParser.Problem(text: "\(pattern) is missing") }
            return [(pattern, text)]
        }
        return try parser.parse(text, named: "nginx.conf")
    }

    @Test("Words, quotes, comments and blocks are told apart")
    func syntax() throws {
        let read = try parse(
            """
            a 'b c' "d;{}" e\t# f { ; }
              g;
            map $x $y { default "" ; "~^[0-9]{2}$" z; }
            set $u http://${host}/;h;
            """)
        #expect(
            read == [
                NginxDirective(name: "a", arguments: ["b c", "d;{}", "e", "g"]),
                NginxDirective(
                    name: "map", arguments: ["$x", "$y"],
                    block: [
                        NginxDirective(name: "default", arguments: [""]),
                        NginxDirective(name: "~^[0-9]{2}$", arguments: ["z"]),
                    ]),
                NginxDirective(name: "set", arguments: ["$u", "http://${host}/"]),
                NginxDirective(name: "h", arguments: []),
            ])
    }

    @Test("Files are included where they are named, within other files too")
    func includes() throws {
        let read = try parse(
            "http { include a.conf; z; }", files: ["a.conf": "x; include b.conf;", "b.conf": "y 1;"])
        #expect(read.first?.block?.map(\.name) == ["x", "y", "z"])
    }

    @Test(
        "What is no configuration is refused with its line",
        arguments: ["a", "a {", "}", "a { b }", ";", "{", "a \"b;", "include missing.conf;"])
    func nonsense(text: String) {
        #expect(throws: NginxParser.Problem.self) { try parse(text) }
    }

    @Test("A file that includes itself ends the reading")
    func endless() {
        #expect(throws: NginxParser.Problem.self) {
            try parse("include a.conf;", files: ["a.conf": "include a.conf;"])
        }
    }

    @Test("A directive of an inner block hides those of the outer ones")
    func inheritance() throws {
        let sites = NginxSites(
            try parse(
                """
                http {
                    proxy_read_timeout 10s;
                    proxy_set_header A 1;
                    server {
                        proxy_read_timeout 20s;
                        location /ws { proxy_pass http://unix:/run/g.sock:/x; proxy_set_header B 2; }
                        location / { fastcgi_pass unix:/run/k.sock; }
                    }
                }
                """))
        let site = try #require(sites.sites.first)
        #expect(site.webSockets.value("proxy_read_timeout") == "20s")
        #expect(site.webSockets.all("proxy_set_header") == [["B", "2"]])
        #expect(sites.sockets(of: "proxy_pass") == ["/run/g.sock"])
        #expect(sites.sockets(of: "fastcgi_pass") == ["/run/k.sock"])
    }

    @Test(
        "Times are read as nginx reads them",
        arguments: [
            ("75", .seconds(75)), ("120s", .seconds(120)), ("2m", .seconds(120)), ("1h 30m", .seconds(5400)),
            ("500ms", .milliseconds(500)), ("1d", .seconds(86_400)), ("", nil), ("s", nil), ("1x", nil),
        ] as [(String, Duration?)])
    func times(text: String, time: Duration?) {
        #expect(NginxQuantity.time(text) == time)
    }

    @Test(
        "Sizes are read as nginx reads them",
        arguments: [("64k", 65_536), ("1m", 1 << 20), ("2G", 2 << 30), ("12", 12), ("k", nil), ("1x", nil)]
            as [(String, Int?)])
    func sizes(text: String, size: Int?) {
        #expect(NginxQuantity.size(text) == size)
    }
}

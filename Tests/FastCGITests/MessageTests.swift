import Testing

@testable import FastCGI

@Suite("Requests, responses and framing")
struct MessageTests {
    @Test("A header is found whatever its case, and nothing else is")
    func headers() {
        let request = FastCGIRequest(parameters: [
            ("REQUEST_METHOD", "POST"), ("SCRIPT_NAME", "/nodes/a b"), ("QUERY_STRING", "q=1"),
            ("REQUEST_URI", "/nodes/a%20b?q=1"), ("REMOTE_ADDR", "2001:db8::1"), ("HTTPS", "on"),
            ("HTTP_X_FORWARDED_FOR", "192.0.2.9"), ("CONTENT_TYPE", "text/plain"), ("CONTENT_LENGTH", ""),
        ])
        #expect(request.header("x-forwarded-for") == "192.0.2.9")
        #expect(request.header("X-Forwarded-For") == "192.0.2.9")
        #expect(request.header("content-type") == "text/plain")
        #expect(request.header("Content-Length") == nil)
        #expect(request.header("Remote-Addr") == nil)
        #expect(request.method == "POST")
        #expect(request.path == "/nodes/a b")
        #expect(request.requestURI == "/nodes/a%20b?q=1")
        #expect(request.query == "q=1")
        #expect(request.remoteAddress == "2001:db8::1")
        #expect(request.isSecure)
    }

    @Test("Of a header that came twice both are seen; the web server's own parameters can't be overridden")
    func duplicates() {
        let request = FastCGIRequest(parameters: [
            ("REMOTE_ADDR", "192.0.2.1"), ("HTTP_ORIGIN", "https://a.example"), ("HTTP_COOKIE", "a=1"),
            ("HTTP_ORIGIN", "https://b.example"), ("HTTP_COOKIE", "b=2"), ("REMOTE_ADDR", "192.0.2.2"),
        ])
        #expect(request.header("Origin") == "https://a.example, https://b.example")
        #expect(request.header("Cookie") == "a=1; b=2")
        #expect(request.remoteAddress == "192.0.2.1")
    }

    @Test("A response is a CGI header and a body with its length")
    func serialization() throws {
        let response = FastCGIResponse(
            status: 303, headers: [("Location", "/nodes"), ("Content-Length", "7")], body: Array("moved".utf8)
        )
        #expect(
            String(decoding: try response.serialized(method: "POST"), as: UTF8.self)
                == "Status: 303 See Other\r\nLocation: /nodes\r\nContent-Length: 5\r\n\r\nmoved")
        #expect(
            String(decoding: try response.serialized(method: "HEAD"), as: UTF8.self)
                == "Status: 303 See Other\r\nLocation: /nodes\r\nContent-Length: 5\r\n\r\n")
    }

    @Test("204 and 304 have neither body nor length", arguments: [204, 304])
    func bodiless(status: Int) throws {
        let bytes = try FastCGIResponse(status: status, body: [1]).serialized(method: "GET")
        #expect(String(decoding: bytes, as: UTF8.self).hasSuffix("\r\n\r\n"))
        #expect(!String(decoding: bytes, as: UTF8.self).contains("Content-Length"))
    }

    @Test(
        "A header that could end its line, or is the status, is refused",
        arguments: [
            ("Location", "/nodes\r\nSet-Cookie: a=b"), ("Location", "/nodes\n"), ("Location", "\r"),
            ("Location", "a\0b"), ("Location\r\nX", "a"), ("", "a"), ("X Y", "a"), ("X:", "a"), ("Ä", "a"),
            ("Status", "200"), ("sTATUS", "200"),
        ])
    func hostileHeaders(name: String, value: String) {
        #expect(throws: FastCGIResponse.Defect.header(name)) {
            try FastCGIResponse(status: 200, headers: [(name, value)]).serialized(method: "GET")
        }
    }

    @Test("A status out of range is refused", arguments: [-1, 0, 100, 199, 600, 1_000])
    func hostileStatus(status: Int) {
        #expect(throws: FastCGIResponse.Defect.status(status)) {
            try FastCGIResponse(status: status).serialized(method: "GET")
        }
    }

    @Test("A request passes the framing however its bytes are split")
    func splits() {
        let request = Records.request(
            method: "POST", more: [("X", String(repeating: "y", count: 300))], body: "abc")
        for size in 1...request.count {
            var framing = RequestFraming(maximumBodyBytes: 3)
            var progress = RequestFraming.Progress.incomplete
            for start in stride(from: 0, to: request.count, by: size) {
                #expect(progress == .incomplete)
                progress = framing.consume(request[start..<min(start + size, request.count)])
            }
            #expect(progress == .complete)
            #expect(framing.bodyBytes == 3)
        }
    }

    @Test("A body is refused at its first byte too many")
    func bodyLimit() {
        var framing = RequestFraming(maximumBodyBytes: 2)
        #expect(framing.consume(Records.request(body: "abc")[...]) == .bodyTooLarge)
        #expect(framing.hasParameters)
    }

    @Test("What no web server sends is refused", arguments: Hostile.inputs)
    func hostile(input: Hostile) {
        var framing = RequestFraming(maximumBodyBytes: 100)
        let progress = framing.consume(input.bytes[...])
        guard case .refused = progress else {
            Issue.record("\(progress)")
            return
        }
    }

    @Test("Random bytes never pass and never trap")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var bytes = Records.request(method: "POST", more: [("A", "b"), ("C", "d")], body: "hello")
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            var framing = RequestFraming(maximumBodyBytes: 100)
            _ = framing.consume(bytes[...])
        }
    }

    @Test(
        "A declared length is a decimal number or absent",
        arguments: [
            ("", 0), ("0", 0), ("12", 12), ("-1", nil), ("+1", nil), (" 1", nil), ("1x", nil), ("0x1", nil),
            ("99999999999999999999", nil), ("٣", nil),
        ] as [(String, Int?)])
    func contentLength(text: String, expected: Int?) {
        #expect(Connection.contentLength(text) == expected)
    }
}

/// Bytes on the socket that end or wedge libfcgi 2.4.2, or are no request.
struct Hostile: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    var testDescription: String { name }

    static let inputs = [
        Hostile(name: "HTTP", bytes: Array("GET /nodes HTTP/1.1\r\nHost: example.org\r\n\r\n".utf8)),
        Hostile(name: "zeros", bytes: Array(repeating: 0, count: 4_096)),
        Hostile(name: "ones", bytes: Array(repeating: 255, count: 4_096)),
        Hostile(name: "version 2", bytes: [2] + Records.request().dropFirst()),
        Hostile(name: "unknown role", bytes: Records.begin(role: 9) + Records.parameters([])),
        Hostile(name: "authorizer", bytes: Records.begin(role: 2) + Records.parameters([])),
        Hostile(name: "filter", bytes: Records.begin(role: 3) + Records.parameters([])),
        Hostile(name: "request ID 0", bytes: Records.begin(id: 0)),
        Hostile(name: "short begin", bytes: Records.record(1, [0, 1])),
        Hostile(name: "long begin", bytes: Records.record(1, Array(repeating: 1, count: 60_000))),
        Hostile(name: "parameters without begin", bytes: Records.parameters([])),
        Hostile(name: "begin twice", bytes: Records.begin() + Records.begin()),
        Hostile(name: "multiplexing", bytes: Records.begin() + Records.begin(id: 2)),
        Hostile(name: "input before parameters", bytes: Records.begin() + Records.record(5, [1, 2, 3])),
        Hostile(
            name: "parameters after parameters",
            bytes: Records.begin() + Records.parameters([]) + Records.parameters([])),
        Hostile(
            name: "data record", bytes: Records.begin() + Records.parameters([]) + Records.record(8, [1])),
        Hostile(name: "unknown record", bytes: Records.begin() + Records.record(77, [1])),
        Hostile(name: "abort", bytes: Records.begin() + Records.parameters([]) + Records.record(2, [])),
        Hostile(
            name: "management record first",
            bytes: Records.record(9, Records.pairs([("FCGI_MPXS_CONNS", "")]), id: 0)),
        Hostile(
            name: "management record that overruns libfcgi's answer",
            bytes: Records.begin() + Records.parameters([])
                + Records.record(
                    9, Records.pairs(Array(repeating: ("FCGI_MAX_CONNS", ""), count: 2_000)), id: 0)),
        Hostile(
            name: "lengths that add up beyond 2^31",
            bytes: Records.begin()
                + Records.record(4, [0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfe, 1, 2, 3])
                + Records.record(4, [])),
        Hostile(
            name: "a value longer than the parameters",
            bytes: Records.begin() + Records.record(4, [1, 200, 65, 66]) + Records.record(4, [])),
        Hostile(
            name: "half a length",
            bytes: Records.begin() + Records.record(4, [0x80, 0]) + Records.record(4, [])),
        Hostile(name: "a NUL in a value", bytes: Records.begin() + Records.parameters([("A", "b\0c")])),
        Hostile(name: "= in a name", bytes: Records.begin() + Records.parameters([("A=B", "c")])),
        Hostile(name: "a nameless parameter", bytes: Records.begin() + Records.parameters([("", "c")])),
        Hostile(
            name: "endless parameters",
            bytes: Records.begin()
                + (0..<3).flatMap { _ in Records.record(4, Array(repeating: 1, count: 60_000)) }),
    ]
}

import PairingCore

extension FuzzTarget {
    /// Inputs that are good, or nearly: what others are made of.
    var examples: [[UInt8]] {
        switch self {
        case .json: Self.jsonExamples.map { Array($0.utf8) }
        case .requests: Self.requestExamples.map { Array($0.utf8) }
        case .websocket: Self.webSocketExamples
        case .handshakes: Self.handshakeExamples.map { Array($0.utf8) }
        case .fastcgi: Self.fastCGIExamples
        case .forms: Self.formExamples.map { Array($0.utf8) }
        case .values: Self.valueExamples.map { Array($0.utf8) }
        case .plugins: PluginScript.examples
        }
    }

    private static let jsonExamples = [
        #"{"type":"req","id":"1","method":"health","params":{"a":[1,2.5,-3e2,true,null,"x\u00e9\n"]}}"#,
        #"[[],{},"",0,-0,1e10,"😀\ud83d\ude00"]"#, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "  1 ",
        "{\"a\":{\"b\":{\"c\":{}}}}",
    ]

    private static var requestExamples: [String] {
        let key = Base64URL.encode(Array(repeating: 7, count: 32))
        let signature = Base64URL.encode(Array(repeating: 9, count: 64))
        let proof = #"{"signature":"\#(signature)","signedAt":1700000000000,"nonce":"\#(key)"}"#
        let parameters = [
            (
                "device.pair.request",
                #"{"channel":"web","senderId":"a","deviceToken":"\#(key)","metadata":{"x":1}}"#
            ),
            (
                "device.pair.request",
                #"{"channel":"iot","senderId":"b","publicKey":"\#(key)","proof":\#(proof)}"#
            ),
            ("connect", #"{"channel":"web","senderId":"a","proof":\#(proof)}"#),
            ("connect", #"{"token":"gcn_x"}"#),
            ("message.send", #"{"messageId":"m","message":{"text":"x"}}"#),
            ("message.ack", #"{"messageSeq":1}"#),
            (
                "device.pair.approve",
                #"{"requestId":"00000000-0000-4000-8000-000000000000","code":"ABCD-EFGH"}"#
            ),
            ("device.pair.revoke", #"{"channel":"web","senderId":"a","generation":3}"#),
            ("device.pair.list", #"{"limit":5,"filter":"x"}"#),
        ]
        return parameters.map { #"{"type":"req","id":"1","method":"\#($0.0)","params":\#($0.1)}"# }
    }

    private static var webSocketExamples: [[UInt8]] {
        let mask: [UInt8] = [1, 2, 3, 4]
        let masked = { (text: String) in zip(text.utf8, (0...).lazy.map { mask[$0 % 4] }).map { $0 ^ $1 } }
        let hello = masked("hello")
        return [
            [0x81, 0x85] + mask + hello, [0x01, 0x85] + mask + hello + [0x80, 0x85] + mask + hello,
            [0x89, 0x80] + mask, [0x8A, 0x85] + mask + hello, [0x88, 0x82] + mask + masked("\u{3}\u{7B}"),
            [0x81, 0xFE, 0x01, 0x00] + mask + Array(repeating: 1, count: 256), [0x82, 0x81] + mask + [0],
        ]
    }

    private static let handshakeExamples = [
        """
        GET /ws
        Host: nodes.example.org
        Upgrade: websocket
        Connection: Upgrade
        Sec-WebSocket-Version: 13
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
        Sec-WebSocket-Protocol: goclaw-nodes.v1, other
        Origin: https://nodes.example.org
        X-Real-IP: 192.0.2.1
        """,
        """
        GET /?x=1
        Host: nodes.example.org:443
        Connection: keep-alive, Upgrade
        Upgrade: websocket
        Sec-WebSocket-Version: 12
        X-Real-IP: 2001:db8::1
        """,
        """
        POST /v1/chat/completions
        Host: nodes.example.org
        Authorization: Bearer BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc
        Idempotency-Key: a
        X-Real-IP: 192.0.2.1
        """,
        "GET /device\nHost: elsewhere.example.org\n", "HEAD /ws\nHost: a\nHost: b\n",
    ]

    private static var fastCGIExamples: [[UInt8]] {
        let begin: [UInt8] = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        let pair: [UInt8] = [14, 3] + Array("REQUEST_METHODGET".utf8)
        let parameters: [UInt8] = [1, 4, 0, 1, 0, UInt8(pair.count), 0, 0] + pair + [1, 4, 0, 1, 0, 0, 0, 0]
        let input: [UInt8] = [1, 5, 0, 1, 0, 2, 0, 0, 104, 105, 1, 5, 0, 1, 0, 0, 0, 0]
        return [begin + parameters + input, begin + parameters, begin]
    }

    private static let formExamples = [
        "csrf_token=abc&code=ABCD-EFGH", "a=%C3%A9+b&c=", "nodes_session=abc; other=\"x\"", "%2e%2e%2f",
    ]

    private static let valueExamples = [
        "tablet-reception-01", "ABCD-EFGH", "abcd efgh", "https://nodes.example.org:8443",
        "http://[::1]:80",
        "192.0.2.1", "2001:db8::ffff:192.0.2.1", "::", "00000000-0000-4000-8000-000000000000", "web",
    ]
}

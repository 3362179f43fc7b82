import NIOCore
import NodesProtocol
import PairingCore
import Testing

@testable import AdminPages
@testable import DeviceGateway
@testable import FastCGI

/// Whatever arrives, nothing traps, and what a parser accepts keeps the rules (I7, I10).
@Suite("Random input", .serialized)
struct FuzzTests {
    @Test("JSON that is accepted is written and read as the same value")
    func json() throws {
        let examples = [
            #"{"type":"req","id":"1","method":"health","params":{"a":[1,2.5,-3e2,true,null,"x\u00e9\n"]}}"#,
            #"[[],{},"",0,-0,1e10,"😀\ud83d\ude00"]"#, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "  1 ",
            "{\"a\":{\"b\":{\"c\":{}}}}",
        ]
        try fuzz("JSON", examples: examples) { _, bytes in
            guard let value = try? JSONValue(parsing: bytes) else { return }
            let again = try JSONValue(parsing: value.text.utf8)
            #expect(again == value)
            let cleaned = value.cleaned(maximumScalars: 64)
            #expect(!cleaned.containsNUL)
            #expect(cleaned.cleaned(maximumScalars: 64) == cleaned)
        }
    }

    @Test("A frame becomes a request, or a refusal that says why")
    func requests() {
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
        let examples = parameters.map { #"{"type":"req","id":"1","method":"\#($0.0)","params":\#($0.1)}"# }
        fuzz("requests", examples: examples) { _, bytes in
            do throws(FrameRefusal) {
                let frame = try RequestFrame(parsing: bytes)
                do throws(Refusal) {
                    _ = try DeviceRequest(frame)
                } catch {
                    #expect(!error.message.isEmpty && !error.reason.isEmpty)
                }
            } catch {
                #expect(error.refusal.code == .invalidRequest && !error.refusal.message.isEmpty)
            }
        }
    }

    @Test("WebSocket bytes read the same however they are cut")
    func webSocket() {
        let mask: [UInt8] = [1, 2, 3, 4]
        let masked = { (text: String) in zip(text.utf8, (0...).lazy.map { mask[$0 % 4] }).map { $0 ^ $1 } }
        let hello = masked("hello")
        let examples: [[UInt8]] = [
            [0x81, 0x85] + mask + hello, [0x01, 0x85] + mask + hello + [0x80, 0x85] + mask + hello,
            [0x89, 0x80] + mask, [0x8A, 0x85] + mask + hello, [0x88, 0x82] + mask + masked("\u{3}\u{7B}"),
            [0x81, 0xFE, 0x01, 0x00] + mask + Array(repeating: 1, count: 256), [0x82, 0x81] + mask + [0],
        ]
        fuzz("WebSocket", examples: examples) { mutator, bytes in
            let whole = read([bytes])
            let cut = mutator.cut(bytes)
            #expect(read([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole)
        }
    }

    @Test("FastCGI records are accepted whole, asked for more, or refused")
    func fastCGI() {
        let begin: [UInt8] = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        let pair: [UInt8] = [14, 3] + Array("REQUEST_METHODGET".utf8)
        let parameters: [UInt8] = [1, 4, 0, 1, 0, UInt8(pair.count), 0, 0] + pair + [1, 4, 0, 1, 0, 0, 0, 0]
        let input: [UInt8] = [1, 5, 0, 1, 0, 2, 0, 0, 104, 105, 1, 5, 0, 1, 0, 0, 0, 0]
        fuzz("FastCGI", examples: [begin + parameters + input, begin + parameters, begin]) { _, bytes in
            var framing = RequestFraming(maximumBodyBytes: 1024)
            _ = framing.consume(bytes[...])
        }
    }

    @Test("A form's fields, a cookie and a percent-encoded path come out as text without NUL")
    func forms() {
        let examples = [
            "csrf_token=abc&code=ABCD-EFGH", "a=%C3%A9+b&c=", "nodes_session=abc; other=\"x\"", "%2e%2e%2f",
        ]
        fuzz("forms", examples: examples) { _, bytes in
            _ = try? FormFields(bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            _ = Cookies(header: text)
            if let decoded = percentDecoded(bytes, plusIsSpace: true) {
                #expect(!decoded.utf8.contains(0))
                #expect(percentDecoded(percentEncoded(decoded).utf8, plusIsSpace: false) == decoded)
            }
        }
    }

    @Test("An identifier, a code, an origin or an address that is accepted has one spelling")
    func values() {
        let examples = [
            "tablet-reception-01", "ABCD-EFGH", "abcd efgh", "https://nodes.example.org:8443",
            "http://[::1]:80",
            "192.0.2.1", "2001:db8::ffff:192.0.2.1", "::", "00000000-0000-4000-8000-000000000000", "web",
        ]
        fuzz("values", examples: examples) { _, bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            if let code = PairingCode(text) { #expect(PairingCode(code.description) == code) }
            if let origin = Origin(text) {
                #expect(Origin(origin.text) == origin && origin.isServed(host: origin.authority))
            }
            if let address = ClientAddress(text) { #expect(ClientAddress(address.description) == address) }
            if let id = SenderID(text) { #expect(SenderID(id.key) == id && !id.text.contains("|")) }
            if let id = RequestID(text) { #expect(RequestID(id.text) == id) }
            let cleaned = cleanDeviceText(text, maximumScalars: 100)
            #expect(cleanDeviceText(cleaned, maximumScalars: 100) == cleaned)
        }
    }

    private func read(_ pieces: [[UInt8]]) -> [String] {
        var reader = MessageReader(
            limits: WebSocketLimits(messageSize: 65_536, fragments: 16, acceptsBinary: true))
        var seen: [String] = []
        var buffer = ByteBuffer()
        do {
            for piece in pieces {
                buffer.writeBytes(piece)
                while let event = try reader.next(&buffer) { seen.append("\(event)") }
            }
        } catch {
            seen.append("\(error.code)")
        }
        return seen
    }
}

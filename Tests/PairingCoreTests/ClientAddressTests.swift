import PairingCore
import Testing

@Suite("Client addresses")
struct ClientAddressTests {
    @Test(
        "An address is read and written in one form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("192.0.2.7", "192.0.2.7"), ("255.255.255.255", "255.255.255.255"),
            ("::", "0:0:0:0:0:0:0:0"), ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:DB8::8:800:200C:417A", "2001:db8:0:0:8:800:200c:417a"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("64:ff9b::192.0.2.33", "64:ff9b:0:0:0:0:c000:221"),
            ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"),
        ])
    func reads(_ text: String, _ expected: String) throws {
        let address = try #require(ClientAddress(text))
        #expect(address.description == expected)
        #expect(ClientAddress(expected) == address)
    }

    @Test(
        "An IPv4-mapped address is the IPv4 address",
        arguments: ["::ffff:192.0.2.7", "::FFFF:c000:207", "0:0:0:0:0:ffff:192.0.2.7"])
    func mapped(_ text: String) {
        #expect(ClientAddress(text) == ClientAddress("192.0.2.7"))
        #expect(ClientAddress(text)?.limitKey == "192.0.2.7/32")
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", "unix:", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.+4", "1.2.3.",
            ".1.2.3",
            "1..2.3", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:80", "0x7f.0.0.1", "127.1", "1.2.3.0004",
            "1.2.3.\u{664}", ":", ":::", "::1::", "1::2::3", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::12345", "::g", "::+1", "::-1", "fe80::1%eth0",
            "[::1]",
            "::1\u{0}", "::1.2.3", "1.2.3.4::", "1.2.3.4::1", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
            "::1, ::2", "1.2.3.4, 5.6.7.8", String(repeating: "0", count: 200) + "::1",
        ])
    func refused(_ text: String) {
        #expect(ClientAddress(text) == nil)
    }

    @Test("Limits count an IPv4 address by itself and an IPv6 address by its /64")
    func limitKey() throws {
        #expect(ClientAddress("192.0.2.7")?.limitKey == "192.0.2.7/32")
        #expect(ClientAddress("192.0.2.7")?.limitKey != ClientAddress("192.0.2.8")?.limitKey)
        let one = try #require(ClientAddress("2001:db8:1:2:3:4:5:6"))
        #expect(one.limitKey == "2001:db8:1:2:0:0:0:0/64")
        #expect(one.limitKey == ClientAddress("2001:db8:1:2:ffff::1")?.limitKey)
        #expect(one.limitKey != ClientAddress("2001:db8:1:3:3:4:5:6")?.limitKey)
    }

    @Test("The network block is a /24, or a /48 for IPv6")
    func networkBlock() {
        #expect(ClientAddress("192.0.2.7")?.networkBlock == "192.0.2.0/24")
        #expect(ClientAddress("2001:db8:1:2:3:4:5:6")?.networkBlock == "2001:db8:1:0:0:0:0:0/48")
    }
}

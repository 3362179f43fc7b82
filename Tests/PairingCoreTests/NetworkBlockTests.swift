import Testing

@testable import PairingCore

@Suite("Where web hooks may be sent, and what they are told")
struct NetworkBlockTests {
    @Test(
        "This machine, link-local and private networks are not reached, however they are written",
        arguments: [
            "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
            "169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "::1",
            "::",
            "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::", "2001::1", "2001:db8::1",
        ])
    func refused(text: String) throws {
        #expect(!ReachableAddresses().allows(try #require(ClientAddress(text))))
    }

    @Test(
        "The public Internet is reached",
        arguments: ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"])
    func reached(text: String) throws {
        let address = try #require(ClientAddress(text))
        #expect(ReachableAddresses().allows(address))
        #expect(!ReachableAddresses().allows(address, isOwn: true))
    }

    @Test("What the configuration allows is reached, and nothing beside it")
    func allowed() throws {
        let rule = ReachableAddresses(
            allowed: try ["127.0.0.1", "10.4.0.0/14", "fd00::/8"].map {
                try #require(NetworkBlock($0))
            })
        for text in ["127.0.0.1", "10.7.255.255", "10.4.0.0", "fd00::1", "fdff::1"] {
            #expect(rule.allows(try #require(ClientAddress(text)), isOwn: true), "\(text)")
        }
        for text in ["127.0.0.2", "10.8.0.0", "10.3.255.255", "fc00::1"] {
            #expect(!rule.allows(try #require(ClientAddress(text))), "\(text)")
        }
    }

    @Test(
        "What is no block is refused",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/8/8", "1.1.1.1/+8",
        ])
    func noBlock(text: String) { #expect(NetworkBlock(text) == nil) }

    @Test("A filter admits names, beginnings of names, or everything")
    func filter() throws {
        let some = try #require(WebhookFilter("pairing.*, device.changed\n"))
        #expect(some.admits("pairing.approved") && some.admits("device.changed"))
        #expect(
            !some.admits("device.changed2") && !some.admits("pairings.x") && !some.admits("admin.created"))
        #expect(WebhookFilter(some.description) == some)
        for text in ["", " ", "*", "pairing.*,*"] { #expect(WebhookFilter(text) == .everything, "\(text)") }
        #expect(WebhookFilter.everything.admits("anything.at_all"))
        for text in ["Pairing", "a*b", "*.approved", "x y!", ".*", String(repeating: "a", count: 65)] {
            #expect(WebhookFilter(text) == nil, "\(text)")
        }
        #expect(WebhookFilter((0...50).map { _ in "a" }.joined(separator: ",")) == nil)
    }
}

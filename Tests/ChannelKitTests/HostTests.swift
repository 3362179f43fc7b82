import ChannelKit
import Testing

@Suite("A channel's own tests")
struct HostTests {
    /// A channel as an author's.
    private struct Counting: Channel {
        static let identity = Identity(id: "counting", displayName: "Counting", version: "1.0.0")
        let host: Host

        init(configuration: NoConfiguration, host: Host) { self.host = host }

        func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
            host.count("reviews")
            host.log(.info, "A claim")
            guard claim.senderID.hasPrefix("counter-") else { throw .invalid("no_counter", "No counter.") }
            return [Detail("Clock", "\(host.clockMilliseconds) \(host.monotonicNanoseconds)")]
        }

        func receive(
            _ message: DeviceMessage, in session: Session, state: inout Void
        ) throws(Refusal) -> Answer<Output> {
            host.gauge("last", Double(message.number))
            host.close(session, reason: "enough")
            return [.message(AgentMessage(body: message.body))]
        }
    }

    @Test("need no server: they make the channel with a host that does nothing, and call it")
    func hostForTests() throws {
        let channel = Counting(configuration: NoConfiguration(), host: .forTests)
        #expect(try channel.review(Claim(senderID: "counter-1")).items == [Detail("Clock", "0 0")])
        #expect(throws: Refusal.self) { try channel.review(Claim(senderID: "tablet")) }
        var state: Void = ()
        let session = Session(id: 1, senderID: "counter-1")
        let message = DeviceMessage(number: 1, id: "a", body: #"{"count": 1}"#)
        let output = try channel.receive(message, in: session, state: &state)
        #expect(output.items?.count == 1)
    }
}

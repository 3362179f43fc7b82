import PairingCore
import Testing

@testable import PairingStore
@testable import nodesctl

/// What a database lacks of the events that were kept elsewhere.
@Suite struct KeptFeedTests {
    private func held(_ position: Int64, _ event: String, _ sender: String?, at: Int64? = nil)
        -> PairingStore.Event
    {
        PairingStore.Event(
            position: position, at: Timestamp(milliseconds: at ?? position * 1000), event: event,
            channel: sender == nil ? nil : "web", senderID: sender, actorKind: "administrator",
            actor: "admin",
            requestID: nil, generation: nil, address: nil, details: "{}")
    }

    private func feed(_ events: [PairingStore.Event]) throws -> KeptFeed {
        var feed = KeptFeed()
        for event in events { feed.add(try #require(KeptFeed.Event(JSONValue.event(event).text[...]))) }
        return feed
    }

    private func compared(_ feed: KeptFeed, with database: [PairingStore.Event]) -> KeptFeed {
        var feed = feed
        if let oldest = database.first { feed.forget(before: oldest) }
        while let position = feed.nextToCompare {
            feed.compare(
                with: Array(database.filter { $0.position > position }.prefix(1000)), after: position)
        }
        return feed
    }

    @Test("What the database holds is not missing, however much there is")
    func whole() throws {
        let events = (1...2500).map { held($0, "pairing.requested", "tablet-\($0)") }
        let feed = compared(try feed(events), with: events)
        #expect(feed.count == 2500)
        #expect(feed.missing.isEmpty)
    }

    @Test(
        "The events after the moment that the database was taken back to are missing, also where others have their places"
    )
    func lost() throws {
        let before = [held(1, "pairing.approved", "a"), held(2, "pairing.approved", "b")]
        let after = [
            held(3, "pairing.revoked", "a"), held(4, "pairing.approved", "c"), held(5, "admin.created", nil),
        ]
        let feed = compared(
            try feed(before + after),
            with: before + [
                held(3, "pairing.requested", "d", at: 9000), held(1_000_000_004, "database.restored", nil),
            ])
        #expect(feed.missing.map(\.position) == [3, 4, 5])
        #expect(feed.revocations.map(\.senderID.text) == ["a"])
        #expect(feed.missing[0].line.hasSuffix("pairing.revoked  web/a  by admin"))
    }

    @Test("A device that was paired again after its revocation is not to be revoked")
    func pairedAgain() throws {
        let after = [
            held(2, "pairing.revoked", "a"), held(3, "pairing.revoked", "B"),
            held(4, "pairing.approved", "a"),
            held(5, "pairing.approved", "c"), held(6, "pairing.revoked", "C"),
        ]
        let feed = compared(try feed(after), with: [held(1, "pairing.approved", "a")])
        #expect(feed.revocations.map(\.senderID.text) == ["B", "C"])
    }

    @Test("What was removed by its age is not missing")
    func trimmed() throws {
        let events = (1...5).map { held($0, "pairing.requested", "a") }
        #expect(compared(try feed(events), with: Array(events[2...])).missing.isEmpty)
    }

    @Test(
        "What is no event is told from one",
        arguments: ["", "{}", "[1]", #"{"position":1,"at":"x","event":"e"}"#])
    func noEvent(_ line: String) {
        #expect(KeptFeed.Event(line[...]) == nil)
    }
}

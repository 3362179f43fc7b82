import PairingCore
import Testing

@testable import PairingKernel

@Suite("The session table")
struct SessionTableTests {
    private var table = SessionTable<String>()
    private let sender: SenderID
    private let request: RequestID
    private let instance: InstanceID
    private let channel: ChannelID

    init() throws {
        sender = try #require(SenderID("tablet-01"))
        request = try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef012345"))
        instance = try #require(InstanceID("11111111-0000-4000-8000-000000000000"))
        channel = try #require(ChannelID("web"))
    }

    private func grant(_ epoch: Int64, generation: Int64 = 1, sender: SenderID? = nil) -> SessionGrant {
        SessionGrant(
            sessionID: "session-\(epoch)", instanceID: instance, channel: channel,
            senderID: sender ?? self.sender, generation: Generation(generation), epoch: Epoch(epoch))
    }

    private func id(_ number: UInt64) -> SocketID { SocketID(number) }

    /// Opens a socket and registers it as authorising.
    private mutating func authorise(_ number: UInt64) {
        table.attach(id(number), "socket-\(number)")
        let isThere = table.authorise(id(number), as: sender)
        #expect(isThere)
    }

    private mutating func expectGranted(
        _ number: UInt64, _ grant: SessionGrant, replacing replaced: [String] = []
    ) {
        guard case .granted(let older) = table.activate(id(number), grant) else {
            Issue.record("expected a session")
            return
        }
        #expect(older == replaced)
        #expect(table.isLive(id(number), grant))
    }

    private mutating func expectEnded(
        _ number: UInt64, _ grant: SessionGrant, _ expected: SocketClosure
    ) {
        guard case .ended(let closure) = table.activate(id(number), grant) else {
            Issue.record("expected an end")
            return
        }
        #expect(closure == expected)
        #expect(!table.isLive(id(number), grant))
        #expect(table.takeEnded() == [grant])
    }

    @Test("A socket that says who it is becomes its device's session")
    mutating func activation() {
        authorise(1)
        #expect(table.liveCount == 0)
        expectGranted(1, grant(1))
        #expect(table.liveCount == 1)
        #expect(table.live.map(\.grant) == [grant(1)])
        #expect(table.takeEnded().isEmpty)
    }

    @Test("Nothing begins on a socket that is gone, or was never there")
    mutating func gone() {
        let before = table.authorise(id(1), as: sender)
        #expect(!before)
        authorise(1)
        table.detach(id(1))
        let after = table.authorise(id(1), as: sender)
        #expect(!after)
        let waits = table.wait(id(1), for: request, of: sender)
        #expect(!waits)
        guard case .gone = table.activate(id(1), grant(1)) else {
            Issue.record("expected it to be gone")
            return
        }
        #expect(table.live.isEmpty)
        #expect(table.takeEnded() == [grant(1)], "the database made a session that has no socket")
    }

    @Test("A revocation while the socket is authorising ends it (I3)")
    mutating func revokedWhileAuthorising() {
        authorise(1)
        #expect(table.revoke(sender, below: Generation(2)).isEmpty)
        expectEnded(1, grant(1, generation: 1), .revoked)
    }

    @Test("A revocation of an older pairing leaves an authorising socket of the newer one alone")
    mutating func olderRevocation() {
        authorise(1)
        _ = table.revoke(sender, below: Generation(2))
        expectGranted(1, grant(5, generation: 3))
    }

    @Test("Of several revocations while authorising the greatest counts, in whatever order they arrive")
    mutating func revocationsOutOfOrder() {
        authorise(1)
        _ = table.revoke(sender, below: Generation(4))
        _ = table.revoke(sender, below: Generation(2))
        expectEnded(1, grant(1, generation: 3), .revoked)
    }

    @Test("A newer session elsewhere while the socket is authorising ends it")
    mutating func replacedWhileAuthorising() {
        authorise(1)
        #expect(table.replace(sender.key, below: Epoch(8)).isEmpty)
        _ = table.replace(sender.key, below: Epoch(3))
        expectEnded(1, grant(7), .replaced)
        authorise(2)
        _ = table.replace(sender.key, below: Epoch(8))
        expectGranted(2, grant(8))
    }

    @Test("A revocation closes the live sessions of older generations only")
    mutating func revokesLive() {
        authorise(1)
        expectGranted(1, grant(1, generation: 3))
        #expect(table.revoke(sender, below: Generation(3)).isEmpty)
        #expect(table.revoke(sender, below: Generation(4)) == ["socket-1"])
        #expect(table.revoke(sender, below: Generation(4)).isEmpty, "it is closed once")
        #expect(table.liveCount == 0)
        #expect(table.takeEnded() == [grant(1, generation: 3)])
    }

    @Test("A sender ID in another case is the same device (I1)")
    mutating func caseOfSender() throws {
        authorise(1)
        expectGranted(1, grant(1))
        let upper = try #require(SenderID("TABLET-01"))
        #expect(table.revoke(upper, below: Generation(2)) == ["socket-1"])
    }

    @Test("A newer session here closes the older one as replaced")
    mutating func replacesHere() {
        authorise(1)
        expectGranted(1, grant(1))
        authorise(2)
        expectGranted(2, grant(2), replacing: ["socket-1"])
        #expect(table.liveCount == 1)
        #expect(table.takeEnded() == [grant(1)])
    }

    @Test("An older session that is established late ends itself, not the newer one")
    mutating func epochsOutOfOrder() {
        authorise(1)
        authorise(2)
        expectGranted(2, grant(2))
        expectEnded(1, grant(1), .replaced)
        #expect(table.live.map(\.grant) == [grant(2)])
    }

    @Test("A hint of a newer session closes older ones, and never the newer one")
    mutating func replacedHint() {
        authorise(1)
        expectGranted(1, grant(4))
        #expect(table.replace(sender.key, below: Epoch(4)).isEmpty)
        #expect(table.replace("another", below: Epoch(9)).isEmpty)
        #expect(table.replace(sender.key, below: Epoch(5)) == ["socket-1"])
    }

    @Test("A socket that connects again leaves its old session first")
    mutating func sameSocketAgain() {
        authorise(1)
        expectGranted(1, grant(1))
        let isThere = table.authorise(id(1), as: sender)
        #expect(isThere)
        #expect(table.liveCount == 0)
        #expect(table.takeEnded() == [grant(1)])
        expectGranted(1, grant(2))
        #expect(!table.isLive(id(1), grant(1)))
        #expect(table.liveCount == 1)
    }

    @Test("Sockets that wait for a decision are found, newest first, and once they are told no more")
    mutating func waiting() {
        for number in [UInt64(3), 9, 5] {
            authorise(number)
            let isThere = table.wait(id(number), for: request, of: sender)
            #expect(isThere)
        }
        #expect(table.waiting(for: request, of: sender).map(\.id.number) == [9, 5, 3])
        #expect(table.waitingRequests.count == 3)
        #expect(table.revoke(sender, below: Generation(9)).isEmpty, "a waiting socket is nobody's session")
        table.authorise(id(9), as: sender)
        table.detach(id(5))
        #expect(table.waiting(for: request, of: sender).map(\.id.number) == [3])
    }

    @Test("A failed attempt leaves a stranger that may try again; a session is not abandoned")
    mutating func abandon() {
        authorise(1)
        table.abandon(id(1))
        #expect(table.revoke(sender, below: Generation(9)).isEmpty)
        let isThere = table.authorise(id(1), as: sender)
        #expect(isThere)
        expectGranted(1, grant(1))
        table.abandon(id(1))
        #expect(table.isLive(id(1), grant(1)))
    }

    @Test("A failed attempt of a waiting socket lets it wait on")
    mutating func failedAttempts() {
        authorise(1)
        let stranger = table.fail(id(1))
        #expect(stranger == nil)
        authorise(1)
        _ = table.wait(id(1), for: request, of: sender)
        table.authorise(id(1), as: sender)
        #expect(table.waiting(for: request, of: sender).isEmpty)
        _ = table.revoke(sender, below: Generation(2))
        let waits = table.fail(id(1))
        #expect(waits == request)
        #expect(table.waiting(for: request, of: sender).map(\.id.number) == [1])
        let again = table.fail(id(1))
        #expect(again == nil, "it is not authorising")
    }

    @Test("Only a socket that is authorising becomes a session: no other was told of a revocation (I3)")
    mutating func activationOfAnother() {
        table.attach(id(1), "socket-1")
        guard case .gone = table.activate(id(1), grant(1)) else {
            Issue.record("expected no session")
            return
        }
        #expect(table.live.isEmpty)
        #expect(table.takeEnded() == [grant(1)])
    }

    @Test("An administrator's socket is watched until it is gone")
    mutating func administrators() {
        let authority = Authority(actor: .administrator("maria"), scope: .administer, source: .commandLine)
        table.attach(id(1), "socket-1")
        table.watch(id(1), authority)
        #expect(table.administrators.map(\.authority) == [authority])
        #expect(table.liveCount == 0)
        table.detach(id(1))
        table.watch(id(1), authority)
        #expect(table.administrators.isEmpty)
    }

    @Test("A session that ends is told of once, and again only where it was given back")
    mutating func ended() {
        authorise(1)
        expectGranted(1, grant(1))
        table.detach(id(1))
        table.detach(id(1))
        let ended = table.takeEnded()
        #expect(ended == [grant(1)])
        #expect(table.takeEnded().isEmpty)
        table.giveBack(ended: ended)
        #expect(table.takeEnded() == [grant(1)])
    }
}

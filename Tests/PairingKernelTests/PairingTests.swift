import Cryptography
import PairingCore
import Postgres
import Testing

@testable import PairingKernel

@Suite("Pairing over two instances")
struct PairingTests {
    @Test(
        "A device asks on one instance, is approved on the other, and its socket is its session from then on")
    func approval() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-reception-01")
            let socket = try one.socket()
            let ticket = try await one.ask(device, on: socket)
            #expect(ticket.senderID == device.senderID)
            #expect(ticket.deviceToken == nil)
            let page = try await two.kernel.administration.pendingRequests(
                filter: "", after: nil, limit: 10, by: System.admin)
            #expect(page.rows.map(\.request.id) == [ticket.requestID])
            #expect(page.rows[0].request.code == ticket.code)
            #expect(page.rows[0].fingerprint == "SHA256:" + Base64URL.encode(sha256(device.key.bytes)))
            try await two.approve(ticket)
            guard case .approved(ticket.requestID, let grant?) = try await socket.resolution() else {
                Issue.record("expected to be authenticated: \(socket.orders)")
                return
            }
            #expect(grant.instanceID == one.sessions.instanceID)
            #expect(one.sessions.liveCount == 1)
            let receipt = try await one.sessions.send(id: "m-1", body: #"{"a":1}"#, grant: grant, on: socket)
            #expect(receipt == MessageReceipt(messageID: "m-1", sequence: 1))
            try await eventually("the echo") { socket.messages.count == 1 }
            #expect(
                socket.messages == [
                    Message(sequence: 1, agent: "echo", body: #"{"a":1}"#, inReplyTo: "m-1")
                ])
            #expect(socket.closures.isEmpty)
        }
    }

    @Test("A waiting device that asks again and fails is told of the decision all the same")
    func failedRepeat() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let socket = try one.socket()
            let ticket = try await one.ask(device, on: socket)
            let peer = try TestPeer.fresh()
            let stale = try device.claim(to: try TestPeer.fresh())
            let refusal = await #expect(throws: Refusal.self) {
                try await one.sessions.requestPairing(stale, from: peer, on: socket)
            }
            #expect(refusal?.reason == "nonce_mismatch")
            try await two.approve(ticket)
            guard case .approved(ticket.requestID, .some) = try await socket.resolution() else {
                Issue.record("expected to be authenticated: \(socket.orders)")
                return
            }
        }
    }

    @Test("A paired device that asks to pair again on its session keeps it")
    func askedOnSession() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            let peer = try TestPeer.fresh()
            let answer = try await one.sessions.requestPairing(
                try device.claim(to: peer), from: peer, on: socket)
            #expect(answer == .approved)
            #expect(try await one.connect(device, on: socket) == grant)
            _ = try await one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
            try await two.revoke(device)
            #expect(try await socket.closure() == .revoked)
        }
    }

    @Test("A denied device is told on the other instance, closed with 4003, and its status stays denied")
    func denial() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let socket = try one.socket()
            let ticket = try await one.ask(device, on: socket)
            _ = try await two.kernel.administration.deny(
                ticket.requestID, code: ticket.code, by: System.admin)
            #expect(try await socket.closure() == .denied)
            #expect(socket.orders == [.resolve(.denied(ticket.requestID)), .close(.denied)])
            one.sessions.detach(socket)
            let peer = try TestPeer.fresh()
            let status = try await two.sessions.status(of: try device.identity(.status, to: peer), from: peer)
            guard case .denied(let wait?, _) = status else {
                Issue.record("expected denied, not \(status)")
                return
            }
            #expect(wait > .seconds(480))
            #expect(try await two.refusal(of: device)?.reason == "denied")
            let again = try two.socket()
            let refusal = await #expect(throws: Refusal.self) { try await two.ask(device, on: again) }
            #expect(refusal?.reason == "denied_recently")
            #expect(refusal?.retryAfter != nil)
        }
    }

    @Test("A denied device is told so however many requests of others expired since")
    func deniedAmongExpired() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let ticket = try await one.ask(device, on: try one.socket())
            _ = try await two.kernel.administration.deny(
                ticket.requestID, code: ticket.code, by: System.admin)
            for index in 0..<12 {
                let socket = try one.socket("198.51.100.\(index)")
                _ = try await one.ask(try TestDevice("tablet-01"), on: socket)
                one.sessions.detach(socket)
                try await one.pool.execute(
                    """
                    UPDATE pairing_requests SET state = 'expired', decided_at = clock_timestamp()
                    WHERE state = 'pending'
                    """)
            }
            let peer = try TestPeer.fresh()
            let status = try await two.sessions.status(of: try device.identity(.status, to: peer), from: peer)
            guard case .denied = status else {
                Issue.record("expected denied, not \(status)")
                return
            }
        }
    }

    @Test("A device whose waiting time was lifted is told that it may ask, and may")
    func liftedWaitingTime() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let ticket = try await one.ask(device, on: try one.socket())
            let administration = two.kernel.administration
            _ = try await administration.deny(ticket.requestID, code: ticket.code, by: System.admin)
            try await administration.clearCooldown(device.senderID, by: System.admin)
            let peer = try TestPeer.fresh()
            let status = try await one.sessions.status(of: try device.identity(.status, to: peer), from: peer)
            #expect(status == .denied(retryAfter: nil))
            #expect(try await one.refusal(of: device)?.retryable == false)
            let next = try await one.ask(device, on: try one.socket())
            #expect(next.requestID != ticket.requestID)
            #expect(next.code != ticket.code)
        }
    }

    @Test("A request that nobody decides expires by itself, and its device is told")
    func expiry() async throws {
        try await System.run(settings: { $0.pairingCodeTTL = .milliseconds(400) }) { one, two in
            let device = try TestDevice("tablet-01")
            let socket = try one.socket()
            let ticket = try await one.ask(device, on: socket)
            #expect(ticket.expiresIn == .milliseconds(400))
            #expect(try await socket.resolution() == .expired(ticket.requestID))
            #expect(socket.closures.isEmpty)
            let peer = try TestPeer.fresh()
            let status = try await two.sessions.status(of: try device.identity(.status, to: peer), from: peer)
            #expect(status == .expired)
            #expect(try await two.refusal(of: device)?.reason == "expired")
            let page = try await two.kernel.administration.pendingRequests(
                filter: "", after: nil, limit: 10, by: System.admin)
            #expect(page.rows.isEmpty)
            let next = try await two.ask(device, on: try two.socket())
            #expect(next.requestID != ticket.requestID)
        }
    }

    @Test("A pending device that connects waits for the decision on the new socket; the newest one wins")
    func newestSocketWins() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let first = try one.socket()
            let ticket = try await one.ask(device, on: first)
            let second = try two.socket()
            let peer = try TestPeer.fresh()
            let answer = try await two.sessions.connect(
                try device.identity(.connect, to: peer), from: peer, on: second)
            guard case .pending(let again) = answer else {
                Issue.record("expected to wait")
                return
            }
            #expect(again.requestID == ticket.requestID)
            #expect(again.code == ticket.code)
            #expect(again.expiresAt == ticket.expiresAt)
            try await one.approve(ticket)
            #expect(try await first.resolution() == .approved(ticket.requestID, nil))
            guard case .approved(_, let grant?) = try await second.resolution() else {
                Issue.record("the newest socket has to be authenticated")
                return
            }
            #expect(grant.instanceID == two.sessions.instanceID)
            #expect(one.sessions.liveCount == 0)
            #expect(two.sessions.liveCount == 1)
        }
    }

    @Test("An older socket that asks again is the newest that waits")
    func olderSocketAsksAgain() async throws {
        try await System.run { one, _ in
            let device = try TestDevice("tablet-01")
            let older = try one.socket()
            let younger = try one.socket()
            let ticket = try await one.ask(device, on: older)
            _ = try await one.ask(device, on: younger)
            _ = try await one.ask(device, on: older)
            try await one.approve(ticket)
            #expect(try await younger.resolution() == .approved(ticket.requestID, nil))
            guard case .approved(_, .some) = try await older.resolution() else {
                Issue.record("the socket that asked last has to be authenticated")
                return
            }
        }
    }

    @Test("An approval in the same moment as the request reaches its socket, every time")
    func approvalRacesRequest() async throws {
        try await System.run { one, two in
            for round in 0..<60 {
                let device = try TestDevice("tablet-\(round)")
                let first = try one.socket()
                let ticket = try await one.ask(device, on: first)
                one.sessions.detach(first)
                let socket = try one.socket()
                async let approval: Void = two.approve(ticket)
                async let answer = try one.sessions.requestPairing(
                    try device.claim(to: try TestPeer.make(nonce: "nonce-\(round)")),
                    from: try TestPeer.make(nonce: "nonce-\(round)"), on: socket)
                let (_, outcome) = try await (approval, answer)
                if case .pending = outcome { _ = try await socket.resolution() }
            }
        }
    }

    @Test(
        "Fifty repeats and reconnects of one device are one request with one code, and its approval works (I11)"
    )
    func repeats() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let ticket = try await one.ask(device, on: try one.socket())
            for index in 0..<50 {
                let instance = index.isMultiple(of: 2) ? two : one
                let socket = try instance.socket("198.51.100.\(index)")
                let again = try await instance.ask(device, on: socket)
                #expect(again.requestID == ticket.requestID)
                #expect(again.code == ticket.code)
                #expect(again.expiresAt == ticket.expiresAt)
                if index < 49 { instance.sessions.detach(socket) }
            }
            try await one.approve(ticket)
            let peer = try TestPeer.fresh()
            #expect(
                try await one.sessions.requestPairing(
                    try device.claim(to: peer), from: peer, on: try one.socket()) == .approved)
        }
    }

    @Test("A token of the device's own finds its request after a lost answer; one made here is told once")
    func tokens() async throws {
        try await System.run { one, two in
            let token = try #require(DeviceToken(bytes: try randomBytes(count: 32)))
            let peer = try TestPeer.make()
            var claim = PairingClaim(
                channel: try #require(ChannelID("zoo")), senderID: try #require(SenderID("phone-1")),
                credential: .token(token))
            guard
                case .pending(let first) = try await one.sessions.requestPairing(
                    claim, from: peer, on: try one.socket()),
                case .pending(let second) = try await two.sessions.requestPairing(
                    claim, from: peer, on: try two.socket())
            else {
                Issue.record("expected to wait")
                return
            }
            #expect(first.requestID == second.requestID)
            #expect(first.deviceToken == nil)
            #expect(second.deviceToken == nil)

            claim.senderID = try #require(SenderID("phone-2"))
            claim.credential = .none
            guard
                case .pending(let made) = try await one.sessions.requestPairing(
                    claim, from: peer, on: try one.socket())
            else {
                Issue.record("expected to wait")
                return
            }
            let madeToken = try #require(made.deviceToken)
            let refusal = await #expect(throws: Refusal.self) {
                try await one.sessions.requestPairing(claim, from: peer, on: try one.socket())
            }
            #expect(refusal?.code == .alreadyExists, "one that sends none can't be told from a rival")
            try await two.approve(made)
            let socket = try two.socket()
            let identity = DeviceIdentity(
                channel: claim.channel, senderID: claim.senderID, evidence: .token(madeToken))
            guard case .paired = try await two.sessions.connect(identity, from: peer, on: socket) else {
                Issue.record("expected a session")
                return
            }
        }
    }
}

import Cryptography
import PairingCore
import Testing

@testable import PairingKernel

@Suite("Strangers, rivals and nonsense")
struct StrangerTests {
    @Test("Whoever proves nothing reads one answer, whatever there is (I6)")
    func strangers() async throws {
        try await System.run { one, _ in
            let paired = try await one.pair("paired")
            let revoked = try await one.pair("revoked")
            try await one.revoke(revoked)
            _ = try await one.ask(try TestDevice("pending"), on: try one.socket())
            let channel = try #require(ChannelID("zoo"))
            let other = try #require(ChannelID("web"))
            var refusals: [Refusal] = []
            for sender in ["paired", "revoked", "pending", "unknown"] {
                let senderID = try #require(SenderID(sender))
                let stranger = try TestDevice(sender)
                let token = try #require(DeviceToken(bytes: try randomBytes(count: 32)))
                for channel in [channel, other] {
                    let peer = try TestPeer.fresh()
                    for evidence in [
                        Evidence.token(token), .proof(try stranger.proof(.connect, to: peer)),
                        .proof(try stranger.proof(.status, to: peer)),
                    ] {
                        let identity = DeviceIdentity(
                            channel: channel, senderID: senderID, evidence: evidence)
                        do throws(Refusal) {
                            _ = try await one.sessions.status(of: identity, from: peer)
                            Issue.record("a stranger learned something of \(sender)")
                        } catch {
                            refusals.append(error)
                        }
                        do throws(Refusal) {
                            let socket = RecordingSocket(address: peer.address)
                            one.sessions.attach(socket)
                            _ = try await one.sessions.connect(identity, from: peer, on: socket)
                            Issue.record("a stranger connected as \(sender)")
                        } catch {
                            refusals.append(error)
                        }
                    }
                }
            }
            #expect(refusals.count == 48)
            #expect(refusals.allSatisfy { $0 == refusals[0] && $0.code == .notPaired })
            #expect(try await one.refusal(of: paired) == nil, "the device itself is unharmed")
        }
    }

    @Test("Nonsense in a request is refused before anything is stored")
    func hostileRequests() async throws {
        try await System.run(settings: { $0.maximumMetadataBytes = 100 }) { one, _ in
            let device = try TestDevice("tablet-01")
            func reason(_ change: (inout PairingClaim) throws -> Void, nonce: String? = "n") async throws
                -> String?
            {
                let peer = try TestPeer.make(nonce: nonce)
                var claim = try device.claim(to: try TestPeer.make(nonce: "n"))
                try change(&claim)
                let socket = try one.socket()
                do throws(Refusal) {
                    _ = try await one.sessions.requestPairing(claim, from: peer, on: socket)
                    return nil
                } catch {
                    return error.reason
                }
            }
            #expect(try await reason({ _ in }, nonce: nil) == "nonce_mismatch")
            #expect(try await reason({ $0.metadata = .array([]) }) == "invalid_metadata")
            #expect(try await reason({ $0.metadata = .null }) == "invalid_metadata")
            #expect(
                try await reason({
                    $0.metadata = .object(["a": .string(String(repeating: "x", count: 100))])
                }) == "metadata_too_large")
            #expect(
                try await reason({ $0.channel = try #require(ChannelID("nowhere")) }) == "invalid_proof")
            #expect(
                try await reason({
                    $0.credential = .none; $0.channel = try #require(ChannelID("nowhere"))
                })
                    == "unknown_channel")
            #expect(
                try await reason({ claim in
                    claim.credential = .key(
                        device.key, Proof(signature: [1], signedAt: .wallClock, nonce: "n"))
                }) == "invalid_proof")
            let page = try await one.kernel.administration.pendingRequests(
                filter: "", after: nil, limit: 10, by: System.admin)
            #expect(page.rows.isEmpty)
            #expect(
                try await reason({
                    $0.displayName = "\u{202E}R\u{0}eception\u{200B}\n"
                    $0.metadata = .object(["n\u{0}ame": .string("\u{1B}[31mred")])
                }) == nil)
            let stored = try await one.kernel.administration.pendingRequests(
                filter: "", after: nil, limit: 10, by: System.admin
            ).rows[0].request.profile
            #expect(stored.displayName == "Reception")
            #expect(stored.metadata == #"{"name":"[31mred"}"#)
        }
    }

    @Test("The lite edition has no devices: every pairing method is FORBIDDEN with that reason")
    func lite() async throws {
        try await System.run(settings: { $0.edition = .lite }) { one, _ in
            let device = try TestDevice("tablet-01")
            let refusals = [
                await #expect(throws: Refusal.self) { _ = try await one.ask(device, on: try one.socket()) },
                await #expect(throws: Refusal.self) {
                    let peer = try TestPeer.fresh()
                    _ = try await one.sessions.status(of: try device.identity(.status, to: peer), from: peer)
                },
                try await one.refusal(of: device),
            ]
            for refusal in refusals {
                #expect(refusal?.code == .forbidden)
                #expect(refusal?.reason == "lite_edition")
            }
        }
    }

    @Test("A rival is refused and shown with its address; the device it rivalled is unharmed")
    func rivals() async throws {
        try await System.run { one, two in
            let device = try TestDevice("tablet-01")
            let ticket = try await one.ask(device, on: try one.socket())
            let rival = try TestDevice("TABLET-01")
            let refusal = await #expect(throws: Refusal.self) {
                _ = try await two.ask(rival, on: try two.socket("198.51.100.9"))
            }
            #expect(refusal?.code == .alreadyExists)
            let row = try await one.kernel.administration.request(ticket.requestID, by: System.admin)
            #expect(row.rivals.map(\.address) == [ClientAddress("198.51.100.9")])
            try await one.approve(ticket)
            #expect(try await one.refusal(of: device) == nil)
            #expect(try await one.refusal(of: rival)?.reason == "unknown")
        }
    }
}

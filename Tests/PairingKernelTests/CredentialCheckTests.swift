import Cryptography
import PairingCore
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Credentials")
struct CredentialCheckTests {
    private let check: CredentialCheck
    private let device: TestDevice
    private let other: TestDevice
    private let peer: Peer
    private let now = Timestamp(milliseconds: 1_700_000_000_000)

    init() throws {
        let now = now
        check = CredentialCheck(window: .seconds(120), clock: { now })
        device = try TestDevice("Tablet-01")
        other = try TestDevice("Tablet-01")
        peer = try TestPeer.make(nonce: "bm9uY2U")
    }

    private func proof(
        of device: TestDevice? = nil, purpose: ProofPurpose = .connect, origin: Origin? = nil,
        channel: ChannelID? = nil, senderID: SenderID? = nil, key: PublicKey? = nil,
        signedAt: Timestamp? = nil, nonce: String = "bm9uY2U"
    ) throws -> Proof {
        let device = device ?? self.device
        let statement = ProofStatement(
            purpose: purpose, origin: origin ?? peer.origins[0], channel: channel ?? device.channel,
            senderID: senderID ?? device.senderID, key: key ?? device.key, signedAt: signedAt ?? now,
            nonce: nonce)
        return Proof(
            signature: try device.privateKey.sign(Array(statement.text.utf8)), signedAt: signedAt ?? now,
            nonce: nonce)
    }

    private func isValid(
        _ proof: Proof, purpose: ProofPurpose = .connect, channel: ChannelID? = nil,
        senderID: SenderID? = nil, from peer: Peer? = nil
    ) throws -> Bool {
        let peer = peer ?? self.peer
        var payments = SignaturePayments(of: peer, from: .strangers)
        return try check.isValid(
            proof, purpose: purpose, channel: channel ?? device.channel,
            senderID: senderID ?? device.senderID, key: device.key, from: peer, paying: &payments)
    }

    @Test("A proof opens what it was signed for")
    func valid() throws {
        for purpose in [ProofPurpose.pair, .status, .connect] {
            let proof = try proof(purpose: purpose)
            try check.precheck(proof, from: peer, code: .unauthorized)
            #expect(try isValid(proof, purpose: purpose))
        }
    }

    @Test("A proof for another purpose, origin, channel, sender or key opens nothing")
    func wrong() throws {
        let origin = try #require(Origin("https://evil.example.org"))
        let insecure = try #require(Origin("http://nodes.example.org"))
        let channel = try #require(ChannelID("iot"))
        let sender = try #require(SenderID("tablet-02"))
        for proof in [
            try proof(purpose: .pair), try proof(purpose: .status), try proof(origin: origin),
            try proof(origin: insecure), try proof(channel: channel), try proof(senderID: sender),
            try proof(of: other), try proof(of: other, key: device.key), try proof(key: other.key),
        ] {
            #expect(try !isValid(proof))
        }
        #expect(try !isValid(proof(), channel: channel))
        #expect(try !isValid(proof(), senderID: sender))
    }

    @Test("The sender ID is signed as it is spelt in the request")
    func spelling() throws {
        let lower = try #require(SenderID("tablet-01"))
        #expect(try !isValid(proof(), senderID: lower))
        #expect(try isValid(proof(senderID: lower), senderID: lower))
    }

    @Test("A changed time, nonce or signature opens nothing")
    func tampered() throws {
        let good = try proof()
        var bad = [
            Proof(signature: good.signature, signedAt: now + .milliseconds(1), nonce: good.nonce),
            Proof(signature: good.signature, signedAt: good.signedAt, nonce: "b3RoZXI"),
            Proof(signature: [], signedAt: good.signedAt, nonce: good.nonce),
            Proof(signature: Array(good.signature.dropLast()), signedAt: good.signedAt, nonce: good.nonce),
            Proof(signature: good.signature + [0], signedAt: good.signedAt, nonce: good.nonce),
            Proof(signature: Array(repeating: 0, count: 64), signedAt: good.signedAt, nonce: good.nonce),
        ]
        for index in [0, 31, 32, 63] {
            var signature = good.signature
            signature[index] ^= 1
            bad.append(Proof(signature: signature, signedAt: good.signedAt, nonce: good.nonce))
        }
        for proof in bad { #expect(try !isValid(proof)) }
    }

    @Test("A proof needs this socket's nonce, and that it was issued")
    func nonce() throws {
        let proof = try proof()
        for spent in [nil, "", "bm9uY2", "bm9uY2UA", "BM9UY2U"] {
            let refusal = #expect(throws: Refusal.self) {
                try check.precheck(proof, from: try TestPeer.make(nonce: spent), code: .invalidRequest)
            }
            #expect(refusal?.code == .invalidRequest)
            #expect(refusal?.reason == "nonce_mismatch")
        }
    }

    @Test(
        "signedAt may be two minutes off either way and no more",
        arguments: [
            (Int64(0), true), (120_000, true), (-120_000, true), (120_001, false), (-120_001, false),
            (.max - 1_700_000_000_000, false), (.min, false),
        ])
    func window(_ offset: Int64, _ isAccepted: Bool) throws {
        let signedAt = Timestamp(milliseconds: offset == .min ? .min : now.milliseconds + offset)
        let proof = try proof(signedAt: signedAt)
        if isAccepted {
            try check.precheck(proof, from: peer, code: .unauthorized)
        } else {
            let refusal = #expect(throws: Refusal.self) {
                try check.precheck(proof, from: peer, code: .unauthorized)
            }
            #expect(refusal?.reason == "signed_at_out_of_range")
            #expect(refusal?.details["serverTime"] == .integer(now.milliseconds))
        }
    }

    @Test("A host with several origins accepts a proof for each of them, and none accepts none")
    func origins() throws {
        let second = try #require(Origin("http://nodes.example.org"))
        var both = peer
        both.origins.append(second)
        #expect(try isValid(proof(origin: second), from: both))
        #expect(try isValid(proof(), from: both))
        both.origins = []
        #expect(try !isValid(proof(), from: both))
    }

    @Test("A token proves its own hash and nothing else; kinds never mix")
    func kinds() throws {
        let token = try #require(DeviceToken(bytes: Array(repeating: 7, count: 32)))
        let hash = StoredCredential.tokenHash(sha256(token.bytes))
        func proves(_ evidence: Evidence, _ credential: StoredCredential) throws -> Bool {
            var payments = SignaturePayments(of: peer, from: .strangers)
            return try check.isValid(
                evidence, for: credential, purpose: .connect, channel: device.channel,
                senderID: device.senderID, from: peer, paying: &payments)
        }
        #expect(try proves(.token(token), hash))
        #expect(try !proves(.token(token), .tokenHash(token.bytes)))
        #expect(try !proves(.token(token), .tokenHash([])))
        #expect(try !proves(.token(try #require(DeviceToken(bytes: sha256(token.bytes)))), hash))
        #expect(try !proves(.token(token), .key(device.key)))
        #expect(try !proves(.proof(try proof()), hash))
        #expect(try proves(.proof(try proof()), .key(device.key)))
        #expect(try !proves(.proof(try proof()), .key(other.key)))
    }

    @Test("However many tokens a sender ID had, the one that is brought is found among them")
    func manyTokens() throws {
        let tokens = try (0..<8).map {
            try #require(DeviceToken(bytes: Array(repeating: UInt8($0), count: 32)))
        }
        let identity = DeviceIdentity(
            channel: device.channel, senderID: device.senderID, evidence: .token(tokens[7]))
        var evidence = EvidenceCheck(check, of: identity, purpose: .connect, from: peer)
        let verdicts = try tokens.map { try evidence.proves(device.channel, .tokenHash(sha256($0.bytes))) }
        #expect(verdicts == Array(repeating: false, count: 7) + [true])
    }

    @Test(
        "Each credential is checked once and four at most, and each check is paid for, by devices that are paired nothing"
    )
    func payments() throws {
        let paid = Mutex(0)
        var peer = peer
        peer.origins.append(try #require(Origin("http://nodes.example.org")))
        peer.paySignature = { _ in
            paid.withLock {
                $0 += 1
                return $0 > 6 ? .seconds(7) : nil
            }
        }
        let identity = DeviceIdentity(
            channel: device.channel, senderID: device.senderID, evidence: .proof(try proof()))
        peer.refundSignature = { paid.withLock { $0 -= 1 } }
        var evidence = EvidenceCheck(check, of: identity, purpose: .connect, from: peer)
        #expect(try evidence.proves(device.channel, .key(device.key), isPaired: true))
        #expect(try evidence.proves(device.channel, .key(device.key)))
        #expect(paid.withLock { $0 } == 0)
        var stranger = EvidenceCheck(check, of: identity, purpose: .connect, from: peer)
        #expect(try stranger.proves(device.channel, .key(device.key)))
        #expect(paid.withLock { $0 } == 1)
        paid.withLock { $0 = 1 }
        let others = try (0..<4).map { _ in try TestDevice("Tablet-01").key }
        // Each for both origins.
        for key in others[..<2] + others[..<2] { #expect(try !evidence.proves(device.channel, .key(key))) }
        #expect(paid.withLock { $0 } == 5)
        let refusal = #expect(throws: Refusal.self) {
            try evidence.proves(device.channel, .key(others[2]))
        }
        #expect(refusal?.reason == "too_many_proofs")
        #expect(refusal?.retryAfter == .seconds(7))
        paid.withLock { $0 = 0 }
        #expect(try !evidence.proves(device.channel, .key(others[2])))
        #expect(try !evidence.proves(device.channel, .key(others[3])))
        #expect(paid.withLock { $0 } == 2)
    }
}

import Cryptography
import Foundation
import Logging
import PairingCore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

struct TimedOut: Error, CustomStringConvertible {
    let description: String
}

/// Waits until it holds, for at most that long.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(description: "no \(what) in \(limit)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// What is thrown where there is no database.
func databaseUnavailable() async throws -> any Error {
    let pool = PostgresPool(
        configuration: try PostgresConfiguration("host=/nowhere dbname=none user=none"),
        logger: quietLogger)
    do {
        try await pool.ping()
    } catch {
        await pool.close()
        return error
    }
    throw TimedOut(description: "a database at /nowhere answered")
}

/// A log that remembers what was written to it.
final class RecordedLog: Sendable {
    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append((event.level, event.message.description)) }
        }
    }

    private let lines = Mutex<[(level: Logger.Level, message: String)]>([])

    var records: [(level: Logger.Level, message: String)] { lines.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }
}

/// A device with a key pair.
struct TestDevice {
    let senderID: SenderID
    let channel: ChannelID
    let privateKey: Ed25519PrivateKey
    let key: PublicKey

    init(_ sender: String, channel: String = "zoo") throws {
        senderID = try #require(SenderID(sender))
        self.channel = try #require(ChannelID(channel))
        privateKey = try Ed25519PrivateKey()
        key = try #require(PublicKey(bytes: privateKey.publicKey.rawRepresentation))
    }

    /// The same device, saying that it is of another channel.
    init(_ device: TestDevice, channel: ChannelID) {
        senderID = device.senderID
        self.channel = channel
        privateKey = device.privateKey
        key = device.key
    }

    func proof(_ purpose: ProofPurpose, to peer: Peer, signedAt: Timestamp = .wallClock) throws -> Proof {
        let nonce = try #require(peer.spentNonce)
        let statement = ProofStatement(
            purpose: purpose, origin: try #require(peer.origins.first), channel: channel, senderID: senderID,
            key: key, signedAt: signedAt, nonce: nonce)
        return Proof(
            signature: try privateKey.sign(Array(statement.text.utf8)), signedAt: signedAt, nonce: nonce)
    }

    func identity(_ purpose: ProofPurpose, to peer: Peer) throws -> DeviceIdentity {
        DeviceIdentity(
            channel: channel, senderID: senderID, evidence: .proof(try proof(purpose, to: peer)))
    }

    func claim(to peer: Peer) throws -> PairingClaim {
        PairingClaim(channel: channel, senderID: senderID, credential: .key(key, try proof(.pair, to: peer)))
    }
}

enum TestPeer {
    static func make(address: String = "192.0.2.7", nonce: String? = nil) throws -> Peer {
        Peer(
            address: try #require(ClientAddress(address)),
            origins: [try #require(Origin("https://nodes.example.org"))], spentNonce: nonce)
    }

    /// With a nonce of its own.
    static func fresh(address: String = "192.0.2.7") throws -> Peer {
        try make(address: address, nonce: Base64URL.encode(try randomBytes(count: 16)))
    }
}

extension Timestamp {
    static var wallClock: Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }
}

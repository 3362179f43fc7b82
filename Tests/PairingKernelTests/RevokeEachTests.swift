import PairingCore
import Testing

@testable import PairingKernel

@Suite("Revoking many devices")
struct RevokeEachTests {
    private func devices(_ count: Int) throws -> [PairedDevice] {
        try (0..<count).map { index in
            PairedDevice(
                requestID: try #require(RequestID("0193f0c2-7a5b-4def-8a90-abcdef01234\(index)")),
                senderID: try #require(SenderID("tablet-\(index)")), channel: try #require(ChannelID("zoo")),
                credential: .tokenHash([UInt8](repeating: 1, count: 32)), profile: DeviceProfile(),
                generation: Generation(1), state: .active, pairedAt: .wallClock, pairedBy: "maria")
        }
    }

    private let alreadyRevoked = Refusal(.failedPrecondition, "already_revoked", "Already revoked.")

    @Test("It goes on after the database was away, and counts a revocation whose answer was lost")
    func goesOn() async throws {
        let devices = try devices(4)
        var calls = 0
        var pauses = 0
        let (revoked, failure) = await revokeEach(devices) { _ in
            pauses += 1
        } revoke: { device throws(Refusal) in
            calls += 1
            switch calls {
            case 2, 3, 5: throw .unavailable
            // Carried out by the attempt before, or by somebody else.
            case 6, 7: throw alreadyRevoked
            default: return device
            }
        }
        #expect(revoked.map(\.senderID) == devices.prefix(3).map(\.senderID))
        #expect(failure == nil)
        #expect(pauses == 3)
    }

    @Test("When the database stays away, what was done is told beside why it ended")
    func givesUp() async throws {
        let devices = try devices(3)
        var calls = 0
        let (revoked, failure) = await revokeEach(devices, patience: 3) { _ in
        } revoke: { device throws(Refusal) in
            calls += 1
            guard calls == 1 else { throw .unavailable }
            return device
        }
        #expect(revoked.map(\.senderID) == devices.prefix(1).map(\.senderID))
        #expect(failure == .unavailable)
        #expect(calls == 4)
    }
}

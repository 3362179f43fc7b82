import PairingCore

/// Revokes one after the other. What was done is never lost with what could not be.
///
/// - Parameters:
///   - patience: how many times in a row `revoke` may be `UNAVAILABLE` before this gives up.
///   - pause: waits before a repeat; is told why.
/// - Returns: the revoked ones, and why it ended before the last, if it did.
func revokeEach(
    _ devices: [PairedDevice], patience: Int = 30, pause: (Refusal) async -> Void,
    revoke: (PairedDevice) async throws(Refusal) -> PairedDevice
) async -> (revoked: [PairedDevice], failure: Refusal?) {
    var revoked: [PairedDevice] = []
    for device in devices {
        var failures = 0
        repeating: while true {
            do {
                revoked.append(try await revoke(device))
                break repeating
            } catch {
                switch error.code {
                case .unavailable where failures + 1 < patience:
                    failures += 1
                    await pause(error)
                case .failedPrecondition, .notFound:
                    // The answer of an attempt before was lost, not the revocation (I5).
                    if failures > 0, error.isOf(.alreadyRevoked) { revoked.append(device) }
                    break repeating
                default: return (revoked, error)
                }
            }
        }
    }
    return (revoked, nil)
}

import PairingCore

/// Decisions that are sent again, since the answer to the first time was lost: they are done, and whoever sends them
/// is told so.
extension PairingAdministration {
    /// The request, where `refusal` refused a decision on it that `authority` itself has carried out before.
    ///
    /// - Parameter state: what the decision makes of a request.
    public func decidedBefore(
        _ id: RequestID, as state: RequestState, by authority: Authority, _ refusal: Refusal
    ) async throws(Refusal) -> PairingRequest? {
        guard let kind = RefusalKind.already(state), refusal.isOf(kind), refusal.names(authority) else {
            return nil
        }
        return try await request(id, by: authority).request
    }

    /// The device, where `refusal` refused a revocation of it that `authority` itself has carried out before.
    ///
    /// - Parameters:
    ///   - channel: the channel that was displayed; `nil` for whichever it is.
    ///   - generation: the generation that was displayed; `nil` for whichever it is.
    public func revokedBefore(
        _ senderID: SenderID, channel: ChannelID?, generation: Generation?, by authority: Authority,
        _ refusal: Refusal
    ) async throws(Refusal) -> PairedDevice? {
        guard refusal.isOf(.alreadyRevoked), refusal.names(authority),
            let device = try await device(senderID, by: authority).first?.device, device.state == .revoked,
            channel == nil || channel == device.channel,
            generation == nil || generation == device.generation
        else { return nil }
        return device
    }
}

extension Refusal {
    /// Whether it says that the authority's own actor decided before.
    fileprivate func names(_ authority: Authority) -> Bool {
        details["decidedBy"] == .string(authority.actor.name)
    }
}

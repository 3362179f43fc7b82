import NodesProtocol
import PairingCore
import PairingKernel

/// What a socket asks the kernel for by itself; messages and acknowledgements go beside each other.
enum DeviceCall: Sendable {
    case pair(PairingClaim, spentNonce: String?)
    case status(DeviceIdentity, spentNonce: String?)
    case connect(DeviceIdentity, spentNonce: String?)
    case enter(PairingClaim, DeviceIdentity, spentNonce: String?)
    case authenticate(token: String)
    case message(MessageCall)
    case list(PairingListing, Authority)
    case approve(RequestID, PairingCode, Authority)
    case deny(RequestID, PairingCode?, reason: String?, Authority)
    case approveCode(PairingCode, Authority)
    case denyCode(PairingCode, reason: String?, Authority)
    case revoke(ChannelID?, SenderID, Generation?, reason: String?, Authority)
    case health
}

/// What the kernel answered.
enum DeviceAnswer: Sendable {
    case pairing(PairingAnswer)
    case connection(ConnectAnswer)
    case authority(Authority)
    case receipt(MessageReceipt)
    /// Nothing about the socket changes.
    case payload(JSONValue)
    case refusal(Refusal)
    /// It was none: what came is no request.
    case unreadable(FrameRefusal)
}

extension DeviceCall {
    /// Asks the kernel. Called on any thread.
    func perform(
        kernel: Kernel, sessions: DeviceSessions, peer: Peer, socket: any DeviceSocket
    ) async -> DeviceAnswer {
        do throws(Refusal) {
            return try await answer(kernel: kernel, sessions: sessions, peer: peer, socket: socket)
        } catch {
            if let (method, authority) = administrative {
                await kernel.accounts.note(error, of: method.rawValue, from: peer.address, by: authority)
            }
            return .refusal(error)
        }
    }

    /// The method of an administrator's request, and whose it is.
    private var administrative: (method: MethodName, authority: Authority)? {
        switch self {
        case .pair, .status, .connect, .enter, .authenticate, .health: nil
        case .message(let call): call.administrative
        case .list(_, let authority): (.pairList, authority)
        case .approve(_, _, let authority), .approveCode(_, let authority): (.pairApprove, authority)
        case .deny(_, _, _, let authority), .denyCode(_, _, let authority): (.pairDeny, authority)
        case .revoke(_, _, _, _, let authority): (.pairRevoke, authority)
        }
    }

    private func answer(
        kernel: Kernel, sessions: DeviceSessions, peer: Peer, socket: any DeviceSocket
    ) async throws(Refusal) -> DeviceAnswer {
        var peer = peer
        switch self {
        case .pair(let claim, let nonce):
            peer.spentNonce = nonce
            return .pairing(try await sessions.requestPairing(claim, from: peer, on: socket))
        case .status(let identity, let nonce):
            peer.spentNonce = nonce
            return .payload(.status(try await sessions.status(of: identity, from: peer), of: identity))
        case .connect(let identity, let nonce):
            peer.spentNonce = nonce
            return .connection(try await sessions.connect(identity, from: peer, on: socket))
        case .enter(let claim, let identity, let nonce):
            peer.spentNonce = nonce
            return .connection(try await sessions.enter(claim, as: identity, from: peer, on: socket))
        case .authenticate(let token):
            return .authority(try await kernel.accounts.authenticate(token: token, from: peer.address))
        case .message(let call):
            return .payload(try await call.answer(kernel: kernel, sessions: sessions, socket: socket))
        case .list(let listing, let authority):
            return .payload(try await list(listing, authority, kernel))
        case .approve(let id, let code, let authority):
            return .payload(try await approve(id, code, authority, kernel, peer.address))
        case .approveCode(let code, let authority):
            let id = try await kernel.administration.requestID(withCode: code, by: authority)
            return .payload(try await approve(id, code, authority, kernel, peer.address))
        case .deny(let id, let code, let reason, let authority):
            return .payload(try await deny(id, code, reason, authority, kernel, peer.address))
        case .denyCode(let code, let reason, let authority):
            let id = try await kernel.administration.requestID(withCode: code, by: authority)
            return .payload(try await deny(id, code, reason, authority, kernel, peer.address))
        case .revoke(let channel, let senderID, let generation, let reason, let authority):
            do throws(Refusal) {
                let device = try await kernel.administration.revoke(
                    senderID, channel: channel, generation: generation, because: reason,
                    from: peer.address, by: authority)
                return .payload(.decision("revoked", device.requestID, device.channel, device.senderID))
            } catch {
                guard
                    let device = try await kernel.administration.revokedBefore(
                        senderID, channel: channel, generation: generation, by: authority, error)
                else { throw error }
                return .payload(
                    .decision(
                        "revoked", device.requestID, device.channel, device.senderID, doneAt: device.revokedAt
                    ))
            }
        case .health:
            return .payload(.object(["status": .string(sessions.hasAuthority ? "ok" : "unavailable")]))
        }
    }

    private func approve(
        _ id: RequestID, _ code: PairingCode, _ authority: Authority, _ kernel: Kernel,
        _ address: ClientAddress
    ) async throws(Refusal) -> JSONValue {
        try await decide(id, as: .approved, authority, kernel) { () async throws(Refusal) in
            let device = try await kernel.administration.approve(id, code: code, from: address, by: authority)
            return .decision("approved", id, device.channel, device.senderID, by: device.pairedBy)
        }
    }

    private func deny(
        _ id: RequestID, _ code: PairingCode?, _ reason: String?, _ authority: Authority, _ kernel: Kernel,
        _ address: ClientAddress
    ) async throws(Refusal) -> JSONValue {
        try await decide(id, as: .denied, authority, kernel) { () async throws(Refusal) in
            let request = try await kernel.administration.deny(
                id, code: code, because: reason, from: address, by: authority)
            return .decision("denied", id, request.channel, request.senderID, by: request.decidedBy)
        }
    }

    /// Decides; a decision that the same authority has carried out before is answered as it was then.
    private func decide(
        _ id: RequestID, as state: RequestState, _ authority: Authority, _ kernel: Kernel,
        _ body: () async throws(Refusal) -> JSONValue
    ) async throws(Refusal) -> JSONValue {
        do throws(Refusal) {
            return try await body()
        } catch {
            guard
                let request = try await kernel.administration.decidedBefore(
                    id, as: state, by: authority, error)
            else { throw error }
            return .decision(
                state.rawValue, id, request.channel, request.senderID, by: request.decidedBy,
                doneAt: request.decidedAt)
        }
    }

    private func list(
        _ listing: PairingListing, _ authority: Authority, _ kernel: Kernel
    ) async throws(Refusal) -> JSONValue {
        let administration = kernel.administration
        let hidesCodes = kernel.settings.requiresTypedCode
        let pending = try await administration.pendingRequests(
            filter: listing.filter, after: listing.pendingAfter, limit: listing.limit, by: authority)
        let paired = try await administration.pairedDevices(
            filter: listing.filter, after: listing.pairedAfter, limit: listing.limit, by: authority)
        var payload: [String: JSONValue] = [
            "pending": .array(pending.rows.map { .request($0, hidesCode: hidesCodes) }),
            "paired": .array(paired.rows.map(JSONValue.device)),
        ]
        if let next = pending.next { payload["pendingNext"] = .string(next) }
        if let next = paired.next { payload["pairedNext"] = .string(next) }
        return .object(payload)
    }
}

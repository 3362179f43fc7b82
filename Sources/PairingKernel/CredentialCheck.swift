import Cryptography
import PairingCore

/// Decides whether a device proved that it holds a credential.
struct CredentialCheck: Sendable {
    let window: Duration
    let clock: WallClock

    /// What has to be true of a proof whatever key it is checked against.
    ///
    /// These refusals say nothing about any device, so a stranger may read them.
    func precheck(_ proof: Proof, from peer: Peer, code: ErrorCode) throws(Refusal) {
        guard let nonce = peer.spentNonce, constantTimeEquals(Array(nonce.utf8), Array(proof.nonce.utf8))
        else {
            throw Refusal(
                code, "nonce_mismatch",
                "The proof's nonce is not this socket's, or was used before. Call device.challenge on this socket and "
                    + "sign the nonce it returns.", retryable: true)
        }
        let now = clock()
        let skew = proof.signedAt - now
        guard skew <= window, skew >= .zero - window else {
            throw Refusal(
                code, "signed_at_out_of_range",
                "signedAt is too far from the server's time. Sign with the ts that device.challenge returns.",
                retryable: true,
                details: [
                    "serverTime": .integer(now.milliseconds), "differenceMs": .integer(skew.milliseconds),
                ])
        }
    }

    /// Whether the proof was signed by this key, for this purpose, device and socket.
    func isValid(
        _ proof: Proof, purpose: ProofPurpose, channel: ChannelID, senderID: SenderID, key: PublicKey,
        from peer: Peer, paying payments: inout SignaturePayments
    ) throws(Refusal) -> Bool {
        guard let verifier = Ed25519PublicKey(rawRepresentation: key.bytes) else { return false }
        if !proof.foreignTexts.isEmpty {
            guard OpenClawStatement.deviceID(of: senderID) == hexadecimal(sha256(key.bytes)) else {
                return false
            }
            for text in proof.foreignTexts {
                try payments.payNext()
                if verifier.isValidSignature(proof.signature, for: Array(text.utf8)) { return true }
            }
            return false
        }
        for origin in peer.origins {
            try payments.payNext()
            let statement = ProofStatement(
                purpose: purpose, origin: origin, channel: channel, senderID: senderID, key: key,
                signedAt: proof.signedAt, nonce: proof.nonce)
            if verifier.isValidSignature(proof.signature, for: Array(statement.text.utf8)) { return true }
        }
        return false
    }

    /// Whether the evidence proves this stored credential.
    func isValid(
        _ evidence: Evidence, for credential: StoredCredential, purpose: ProofPurpose, channel: ChannelID,
        senderID: SenderID, from peer: Peer, paying payments: inout SignaturePayments
    ) throws(Refusal) -> Bool {
        switch (evidence, credential) {
        case (.token(let token), .tokenHash(let hash)):
            return constantTimeEquals(sha256(token.bytes), hash)
        case (.proof(let proof), .key(let key)):
            return try isValid(
                proof, purpose: purpose, channel: channel, senderID: senderID, key: key, from: peer,
                paying: &payments)
        case (.token, .key), (.proof, .tokenHash):
            return false
        }
    }
}

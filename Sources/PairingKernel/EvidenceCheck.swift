import PairingCore

/// Pays for the signature checks of one request.
///
/// The first was paid for before the kernel was asked. Each further one, of another credential or for another origin,
/// is paid for as it comes.
struct SignaturePayments {
    private let peer: Peer
    private var isPaid = true

    init(of peer: Peer) { self.peer = peer }

    /// - Throws: `RESOURCE_EXHAUSTED` where there is nothing left to pay with.
    mutating func payNext() throws(Refusal) {
        if isPaid {
            isPaid = false
        } else if let wait = peer.paySignature() {
            throw .tooManyProofs(retryAfter: wait)
        }
    }
}

/// Tries what one request brings on the credentials that a sender ID has or had: each once, and four keys at most, for
/// a signature check is dear. Of tokens as many as there are: one of many earlier ones has to be told the truth too.
struct EvidenceCheck {
    private let check: CredentialCheck
    private let identity: DeviceIdentity
    private let purpose: ProofPurpose
    private let peer: Peer
    private var payments: SignaturePayments
    private var verdicts: [StoredCredential: Bool] = [:]
    private var signatures = 0

    init(_ check: CredentialCheck, of identity: DeviceIdentity, purpose: ProofPurpose, from peer: Peer) {
        self.check = check
        self.identity = identity
        self.purpose = purpose
        self.peer = peer
        payments = SignaturePayments(of: peer)
    }

    /// Whether the evidence proves this credential of a device of this channel.
    mutating func proves(_ channel: ChannelID, _ credential: StoredCredential) throws(Refusal) -> Bool {
        guard channel == identity.channel else { return false }
        if let verdict = verdicts[credential] { return verdict }
        var isSignature = false
        if case (.proof, .key) = (identity.evidence, credential) { isSignature = true }
        guard !isSignature || signatures < 4 else { return false }
        let verdict = try check.isValid(
            identity.evidence, for: credential, purpose: purpose, channel: channel,
            senderID: identity.senderID, from: peer, paying: &payments)
        verdicts[credential] = verdict
        if isSignature { signatures += 1 }
        return verdict
    }
}

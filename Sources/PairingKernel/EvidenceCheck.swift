import PairingCore

/// Pays for the signature checks of one request, each as it comes.
struct SignaturePayments {
    private let peer: Peer
    private let purse: SignaturePurse
    private var paid = 0

    init(of peer: Peer, from purse: SignaturePurse) {
        self.peer = peer
        self.purse = purse
    }

    /// - Throws: `RESOURCE_EXHAUSTED` where there is nothing left to pay with.
    mutating func payNext() throws(Refusal) {
        if let wait = peer.paySignature(purse) { throw .tooManyProofs(retryAfter: wait) }
        paid += 1
    }

    /// They proved a pairing: they take nothing of what is shared with strangers (I13).
    func refund() { for _ in 0..<paid { peer.refundSignature() } }
}

/// Tries what one request brings on the credentials that a sender ID has or had: each once, and four keys at most, for
/// a signature check is dear. Of tokens as many as there are: one of many earlier ones has to be told the truth too.
struct EvidenceCheck {
    private let check: CredentialCheck
    private let identity: DeviceIdentity
    private let purpose: ProofPurpose
    private let peer: Peer
    private var verdicts: [StoredCredential: Bool] = [:]
    private var signatures = 0

    init(_ check: CredentialCheck, of identity: DeviceIdentity, purpose: ProofPurpose, from peer: Peer) {
        self.check = check
        self.identity = identity
        self.purpose = purpose
        self.peer = peer
    }

    /// Whether the evidence proves this credential of a device of this channel, which is paired or not.
    mutating func proves(
        _ channel: ChannelID, _ credential: StoredCredential, isPaired: Bool = false
    ) throws(Refusal) -> Bool {
        guard channel == identity.channel else { return false }
        if let verdict = verdicts[credential] { return verdict }
        var isSignature = false
        if case (.proof, .key) = (identity.evidence, credential) { isSignature = true }
        guard !isSignature || signatures < 4 else { return false }
        var payments = SignaturePayments(of: peer, from: isPaired ? .devices : .strangers)
        let verdict = try check.isValid(
            identity.evidence, for: credential, purpose: purpose, channel: channel,
            senderID: identity.senderID, from: peer, paying: &payments)
        if verdict, isPaired { payments.refund() }
        verdicts[credential] = verdict
        if isSignature { signatures += 1 }
        return verdict
    }
}

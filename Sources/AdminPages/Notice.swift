import PairingCore

/// What a form did, told once by the page after the redirect.
///
/// It travels in a cookie rather than in the address, so that a link can't make a page claim what never
/// happened; and as one of a few words with a sender ID, so that even a forged one can't say anything else.
struct Notice: Equatable, PageModel {
    /// What happened.
    enum Kind: String {
        case approved, denied, revoked, changed
        case waitLifted = "wait-lifted"
        case signedOut = "signed-out"
    }

    var kind: Kind
    /// The device it happened to.
    var senderID: SenderID?

    init(_ kind: Kind, _ senderID: SenderID? = nil) {
        self.kind = kind
        self.senderID = senderID
    }

    /// Reads a cookie's value.
    init?(cookie: String) {
        let parts = cookie.split(separator: "/", omittingEmptySubsequences: false)
        guard let kind = parts.first.flatMap({ Kind(rawValue: String($0)) }) else { return nil }
        switch (kind, parts.count) {
        case (.signedOut, 1): self.init(kind)
        case (.approved, 2), (.denied, 2), (.revoked, 2), (.changed, 2), (.waitLifted, 2):
            guard let senderID = SenderID(String(parts[1])) else { return nil }
            self.init(kind, senderID)
        default: return nil
        }
    }

    /// The cookie's value: neither a kind nor a sender ID contains the slash.
    var cookie: String { senderID.map { "\(kind.rawValue)/\($0)" } ?? kind.rawValue }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "subject": senderID?.text
        case "heading":
            switch kind {
            case .approved: "Approved"
            case .denied: "Denied"
            case .revoked: "Revoked"
            case .changed: "Saved"
            case .waitLifted: "Wait lifted"
            case .signedOut: "Signed out"
            }
        case "outcome":
            switch kind {
            case .approved: "is paired. It is told at once if it is waiting, and can connect from now on."
            case .denied: "was told so, and its request is gone."
            case .revoked:
                "is no longer paired. Its sessions end on every instance; to come back it must pair again."
            case .changed: "is as you said. A change of its agent applies to its next message."
            case .waitLifted: "may be asked for again at once."
            case .signedOut: "This browser's session has ended."
            }
        default: nil
        }
    }
}
